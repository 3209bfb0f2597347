"""``interestlab paper``: the paper's figures and claims with their controls."""
