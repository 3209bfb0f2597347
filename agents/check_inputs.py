"""What the checks of an agent ask with, and how they compare answers and states."""

import hashlib
import random

import numpy as np
import torch

from agents.base import InteractionLog, Recommendations, Requests
from agents.events import Events
from sim.arrays import IntArray

_HISTORY, _EXCLUDED = 50, 20  # items of a request's history, of which the last are excluded


def requests_from(log: InteractionLog, user: IntArray, day: int, num_slots: int) -> Requests:
    """What users' requests look like after a log: their last 50 consumed items; the last 20 are excluded."""
    events = Events.of(log)
    rows = events.windows(user, np.searchsorted(events.user, user, side="right"), _HISTORY)  # (B, H)
    order = np.argsort(log.user[log.consumed], kind="stable")
    cluster = log.cluster[log.consumed][order]
    items = np.where(rows >= 0, events.item[rows], -1)
    return Requests(
        user=user,
        day=day,
        items=items,
        clusters=np.where(rows >= 0, cluster[rows], -1).astype(np.int32),
        watch=np.where(rows >= 0, events.watch[rows], 0).astype(np.float32),
        positive=(rows >= 0) & events.positive[rows],
        exclude=items[:, -_EXCLUDED:],
        num_slots=num_slots,
    )


def same(one: Recommendations, other: Recommendations, exact: bool = False) -> bool:
    """Whether slates agree; propensities to rounding, which depends on the batch, unless ``exact``."""
    if not np.array_equal(one.items, other.items) or (one.propensity is None) != (other.propensity is None):
        return False
    if one.propensity is None or other.propensity is None:
        return True
    if exact:
        return np.array_equal(one.propensity, other.propensity)
    return np.allclose(one.propensity, other.propensity, rtol=1e-3, atol=1e-6)


def digest_of_inputs(inputs: list[object]) -> str:
    """SHA-256 over every array that is an attribute of some objects."""
    content = hashlib.sha256()
    for thing in inputs:
        for value in vars(thing).values():
            if isinstance(value, np.ndarray):
                content.update(value.tobytes())
    return content.hexdigest()


def global_generators() -> tuple[object, ...]:
    """The states of the global generators, comparable."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return (
        random.getstate(),
        str(name),
        np.asarray(keys).tobytes(),
        tuple(rest),
        torch.get_rng_state().numpy().tobytes(),
    )
