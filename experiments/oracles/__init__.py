"""Planners that see latent state, declared as such, and what is true of clusters."""
