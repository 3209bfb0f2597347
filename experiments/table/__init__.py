"""``interestlab table``: the language model's table alone."""
