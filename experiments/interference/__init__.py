"""``interestlab interference``: live experiments' estimates and what is true."""
