"""Are slates valid? Cheap enough to ask of every call of every agent."""

from contextlib import nullcontext

import numpy as np

from agents.base import Platform, Recommendations, Requests
from agents.blame import naming_code
from sim.arrays import BoolArray, repeats
from sim.errors import InvalidInput


def check_form(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput unless ``recommend`` returned ``Recommendations`` with integer items of shape (B, S)."""
    shape = (len(requests), requests.num_slots)
    if not isinstance(slates, Recommendations):
        raise InvalidInput(field, described(slates), "recommend must return an agents.base.Recommendations")
    items = slates.items
    if not is_array(items, shape, "iu"):
        raise InvalidInput(field, described(items), f"items must be an integer array of shape {shape}, one row a user")


def check_exists(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput unless all items exist."""
    items, num_items = slates.items, platform.catalog.num_items
    _refuse((items < 0) | (items >= num_items), items, f"items must be in 0 .. {num_items - 1}", requests, field)


def check_alive(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput unless all items exist and are alive today."""
    check_exists(slates, requests, platform, field)
    items = slates.items
    alive = platform.catalog.alive(platform.day)[items]
    _refuse(~alive, items, "this item is not alive today; use platform.live_items(), at every request", requests, field)


def check_distinct(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput if an item is twice on a slate."""
    items = slates.items
    _refuse(repeats(items), items, "this item is on the slate twice; draw without replacement", requests, field)


def check_excluded(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput if an item of ``requests.exclude`` is on the user's slate."""
    items = slates.items
    excluded = np.zeros(items.shape, bool)
    for slot in range(items.shape[1]):
        excluded[:, slot] = (requests.exclude == items[:, slot, None]).any(axis=1)
    advice = "this item is in requests.exclude; leave those out before ranking"
    _refuse(excluded, items, advice, requests, field)


def check_propensity(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput unless propensities are None, or numbers in (0, 1] of shape (B, S)."""
    propensity, shape = slates.propensity, slates.items.shape
    if propensity is None:
        return
    if not is_array(propensity, shape, "fiu"):
        expected = f"propensity must have shape {shape}, an array of floats, or be None"
        raise InvalidInput(field, described(propensity), expected)
    good = (propensity > 0) & (propensity <= 1)  # NaN is not
    advice = "propensity must be in (0, 1]; return None if the agent cannot say"
    _refuse(~good, propensity, advice, requests, field)


def check_cluster(slates: Recommendations, requests: Requests, platform: Platform, field: str) -> None:
    """Raise InvalidInput unless planned clusters are None, or existing level-2 clusters of shape (B, S)."""
    cluster, shape = slates.cluster, slates.items.shape
    if cluster is None:
        return
    if not is_array(cluster, shape, "iu"):
        raise InvalidInput(field, described(cluster), f"cluster must be an integer array of shape {shape}, or None")
    num_clusters = platform.clusters.num_clusters
    advice = f"cluster must be in 0 .. {num_clusters - 1}, or None"
    _refuse((cluster < 0) | (cluster >= num_clusters), cluster, advice, requests, field)


SLATE_RULES = (check_form, check_alive, check_distinct, check_excluded, check_propensity, check_cluster)
"""What ``Recommendations`` promise, in the order in which it is checked."""


def validate(
    slates: Recommendations, requests: Requests, platform: Platform, agent_name: str, agent: object = None
) -> None:
    """Check one call's slates; cheap enough for every call.

    Args:
        slates: what the agent returned.
        requests: what it was asked.
        platform: whose items are alive today.
        agent_name: named in the message: the arm's name, where there are arms.
        agent: the agent; messages name its class and file, and the ranker's where a planner and a ranker make the
            slates.

    Raises:
        InvalidInput: a slate breaks the contract of ``Recommendations``; the message names the
            user and says how to mend it.
    """
    inner = getattr(agent, "inner", agent)  # the wall has agents within
    ranker = getattr(inner, "ranker", None)
    field = f"agent {agent_name}" if ranker is None else f"agent {agent_name}: ranker {type(ranker).__name__}"
    with nullcontext() if agent is None else naming_code(inner if ranker is None else ranker):
        for rule in SLATE_RULES:
            rule(slates, requests, platform, field)


def check_probability(probability: object, shape: tuple[int, ...], field: str) -> None:
    """Raise InvalidInput unless ``probability`` returned numbers in [0, 1] of a shape."""
    if not is_array(probability, shape, "fiu"):
        expected = f"must be an array of floats of shape {shape}, or None"
        raise InvalidInput(f"{field}: probability", described(probability), expected)
    values = np.asarray(probability)
    wrong = ~((values >= 0) & (values <= 1 + 1e-6))  # rounding may exceed 1, float32's too; NaN is wrong too
    if wrong.any():
        raise InvalidInput(f"{field}: probability", values[wrong][0].item(), "must be in [0, 1]")


def is_array(value: object, shape: tuple[int, ...], kinds: str) -> bool:
    """Whether a value is an array of a shape, and of one of numpy's kinds of type (``dtype.kind``).

    No uint64 is: with int64 numpy makes floats of it.
    """
    if not isinstance(value, np.ndarray) or value.shape != shape:
        return False
    return value.dtype.kind in kinds and bool(value.dtype != np.uint64)


def described(value: object) -> str:
    """What came in place of an array, for a message: ``float64 array of shape (24, 5) with NaN``."""
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    with_nan = " with NaN" if value.dtype.kind == "f" and np.isnan(value).any() else ""
    return f"{value.dtype} array of shape {value.shape}{with_nan}"


def _refuse(bad: BoolArray, values: object, advice: str, requests: Requests, field: str) -> None:
    if bad.any():
        row, slot = np.argwhere(bad)[0]
        value = np.asarray(values)[row, slot].item()
        raise InvalidInput(field, value, f"user {requests.user[row]}, slot {slot}: {advice}")
