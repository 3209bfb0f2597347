"""The world: simulated people, their platform, and what it logs. Knows nothing of agents."""
