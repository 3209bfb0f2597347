"""``interestlab benchmark``: speed as ratios measured side by side."""
