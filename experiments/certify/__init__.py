"""``interestlab certify``: stylised facts that a world shows."""
