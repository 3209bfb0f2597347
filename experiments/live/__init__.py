"""Arms simulated day by day: burn-in, serving, reference policies, progress."""
