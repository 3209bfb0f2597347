"""What a planner proposes for two interests, side by side with its rivals (``interestlab explain``)."""
