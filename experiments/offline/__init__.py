"""``interestlab offline``: agents asked about the last days of a log."""
