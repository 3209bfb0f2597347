"""Gymnasium faces over ``sim.world``. Importing this package registers ``interestlab/Exploration-v0``."""
