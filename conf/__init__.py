"""Hydra configuration files; found as ``pkg://conf`` from any folder."""
