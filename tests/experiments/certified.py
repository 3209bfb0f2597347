"""Synthetic logs and very small worlds for the certificate's tests."""

from dataclasses import replace
from functools import cache

import numpy as np
from omegaconf import OmegaConf

from experiments.live.reference_life import Life
from sim.hidden.config import WorldConfig, from_mapping
from sim.log import InteractionLog
from tests.composing import compose


def log_of(user, item, **columns):
    """A log of consumed impressions on day 0; ``columns`` overrides the defaults."""
    n = len(user)
    zeros = np.zeros(n)
    actual = {
        "user": user, "item": item, "day": zeros, "step": zeros, "slot": zeros, "cluster": item,
        "watch_seconds": zeros + 20, "watch_fraction": zeros + 1, "liked": zeros, "disliked": zeros,
        "positive": zeros, "consumed": zeros + 1, "propensity": zeros, "source": zeros, "planned": zeros - 1,
    }  # fmt: skip
    return InteractionLog(**{name: np.asarray(column) for name, column in {**actual, **columns}.items()})


def life_of(log, num_users, num_items, num_clusters=None, interest=None):
    """A life with this log, in which nothing was consumed before."""
    return Life(
        log=log,
        length=np.full(num_items, 30.0, np.float32),
        interest=np.zeros(num_items, np.int32) if interest is None else np.asarray(interest),
        consumed_before=np.zeros((num_users, num_clusters or num_items), bool),
    )


@cache
def tiny() -> WorldConfig:
    """conf/world/tiny.yaml."""
    config = compose("certify", ["world=tiny"])
    return from_mapping(WorldConfig, OmegaConf.to_container(config, resolve=True)["world"], "world")


def changed(config: WorldConfig, **groups) -> WorldConfig:
    """The config with some entries of some groups changed: ``dynamics={"satiation_per_watch": 0.0}``."""
    return replace(config, **{name: replace(getattr(config, name), **entries) for name, entries in groups.items()})
