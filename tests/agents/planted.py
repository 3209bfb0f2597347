"""A tiny platform and log whose structure is known, for testing what agents learn."""

import numpy as np

from agents.check_platform import SmallPlatform as Planted
from agents.check_platform import make_catalog, make_clusters, make_log, successor
from agents.check_platform import small_platform as planted
from sim.platform import Requests
from sim.random import RandomStream

__all__ = [
    "STREAM", "Planted", "loyal", "make_catalog", "make_clusters", "make_log", "planted", "request", "successor",
]  # fmt: skip

STREAM = RandomStream(20240917, "tests", "agents")


def loyal(num_clusters=8, strength=0.9):
    """(M, M) transition probabilities c -> c with the given strength, else uniform."""
    return strength * np.eye(num_clusters) + (1 - strength) / num_clusters


def request(items, clusters, exclude=None, num_slots=2, positive=None, day=6):
    """Requests of users 0 .. B-1 from histories (B, H)."""
    items = np.asarray(items, np.int64)
    positive = items >= 0 if positive is None else positive
    exclude = np.full((len(items), 1), -1) if exclude is None else np.asarray(exclude, np.int64)
    return Requests(
        user=np.arange(len(items)),
        day=day,
        items=items,
        clusters=np.asarray(clusters, np.int32),
        watch=np.where(items >= 0, 0.9, 0).astype(np.float32),
        positive=positive,
        exclude=exclude,
        num_slots=num_slots,
    )
