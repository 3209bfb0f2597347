"""``interestlab interference``: live experiments' estimates and the true lifts."""
