"""``interestlab cite``: BibTeX of what an agent rests on."""
