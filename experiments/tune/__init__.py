"""``interestlab tune``: the objective of one setting of an agent."""
