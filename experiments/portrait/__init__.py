"""``interestlab portrait``: one person's interests over time."""
