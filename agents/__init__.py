"""Recommenders. They see the public side of ``sim`` only (see docs/world.md, "The wall")."""
