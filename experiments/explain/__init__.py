"""``interestlab explain``: planners' next clusters after two interests."""
