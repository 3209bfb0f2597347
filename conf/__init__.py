"""Hydra configuration files; available as ``pkg://conf`` from any folder."""

from omegaconf import OmegaConf

OmegaConf.register_new_resolver("times", lambda factor, number: factor * number, replace=True)
