"""Stages that are cached by what they rest on, with the digests of their sources."""
