"""``interestlab new-agent``: a package with an agent of one's own."""
