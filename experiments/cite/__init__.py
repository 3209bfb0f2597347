"""``interestlab cite``: BibTeX of an agent's papers."""
