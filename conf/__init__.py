"""Hydra configuration files; available as ``pkg://conf`` from any folder."""

from typing import Any

from omegaconf import OmegaConf


def _times_rounded(factor: float, number: Any) -> Any:
    """``factor * number``, rounded. What is no whole number comes back as it is: its own entry's check names it."""
    return round(factor * number) if type(number) is int else number


OmegaConf.register_new_resolver("times", lambda factor, number: factor * number, replace=True)
OmegaConf.register_new_resolver("times_rounded", _times_rounded, replace=True)
