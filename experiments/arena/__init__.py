"""``interestlab arena``: off-policy estimates of agents and their true values."""
