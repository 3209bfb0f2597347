"""Metrics of logs, contrasts between arms, users' own effects, and results put together."""
