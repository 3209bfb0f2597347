"""Arms that live day by day: burn-in, serving, reference policies, what is watched meanwhile."""
