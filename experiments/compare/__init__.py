"""``interestlab compare``: an A/B comparison of recommenders."""
