"""What an examination of an agent finds fault with."""

from agents.check import examine


def check_agent(factory, platform, log, rng, production=None):
    """One message a fault, each saying how to mend it; none if the agent keeps the contract."""
    actual = examine(factory, platform, log, rng, production)
    return [f"{finding.check}: {finding.message}" for finding in actual if finding.verdict == "fail"]
