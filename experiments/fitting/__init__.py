"""Bring your own world: a world's constants fitted to a user's log, and how close that comes."""
