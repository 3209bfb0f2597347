"""Logged data sets in one documented schema: ours, and what others have published."""
