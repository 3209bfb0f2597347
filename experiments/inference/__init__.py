"""Intervals, bands and tests over users, days and worlds."""
