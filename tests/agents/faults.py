"""What an examination of an agent finds fault with."""

from agents.check import examine

NUM_DRAWS = 500
"""Find a propensity of 0.6 where 0.5 is right; ``test_check_propensity`` finds less, with 100,000 slates."""


def check_agent(factory, platform, log, rng):
    """One message a fault, each saying how to mend it; none if the agent keeps the contract."""
    actual = examine(factory, platform, log, rng, num_draws=NUM_DRAWS)
    return [f"{finding.check}: {finding.message}" for finding in actual if finding.verdict == "fail"]
