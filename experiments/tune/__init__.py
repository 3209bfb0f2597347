"""``interestlab tune``: what one setting of an agent is worth."""
