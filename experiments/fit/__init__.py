"""``interestlab fit``: a world's constants fitted to a log."""
