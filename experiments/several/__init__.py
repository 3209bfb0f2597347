"""Comparisons in several worlds: planned, run, read back."""
