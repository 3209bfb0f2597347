"""``interestlab explain``: what planners say should follow on two interests."""
