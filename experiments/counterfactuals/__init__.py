"""Off-policy estimates of agents beside the truth of a simulated world: the stages of ``interestlab arena``."""
