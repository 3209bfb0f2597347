"""Hydra configuration files; available as ``pkg://conf`` from any folder."""

from omegaconf import OmegaConf

OmegaConf.register_new_resolver("times", lambda factor, number: factor * number, replace=True)
OmegaConf.register_new_resolver("times_rounded", lambda factor, number: round(factor * number), replace=True)
