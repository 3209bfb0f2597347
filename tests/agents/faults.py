"""What an examination of an agent finds fault with."""

from agents.check import examine

NUM_DRAWS = 500
"""Enough to find propensities that are off by a tenth or so; ``test_check_propensity`` draws 100,000 slates."""


def check_agent(factory, platform, log, rng):
    """One message a fault, each saying how to mend it; none if the agent keeps the contract."""
    actual = examine(factory, platform, log, rng, num_draws=NUM_DRAWS)
    return [f"{finding.check}: {finding.message}" for finding in actual if finding.verdict == "fail"]
