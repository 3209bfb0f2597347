"""Metrics of logs, contrasts between arms, users' own effects, and the results record."""
