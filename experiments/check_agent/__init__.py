"""``interestlab check-agent``: whether an agent keeps the contract."""
