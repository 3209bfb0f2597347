"""``interestlab arena``: off-policy estimates and what is true of agents."""
