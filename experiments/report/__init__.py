"""``interestlab report``: comparisons in several worlds or along dials, joined."""
