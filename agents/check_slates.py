"""Are slates valid? Cheap enough to ask of every call of every agent."""

import numpy as np

from agents.base import Platform, Recommendations, Requests
from sim.arrays import BoolArray, repeats
from sim.errors import InvalidInput


def validate(recommendations: Recommendations, requests: Requests, platform: Platform, agent_name: str) -> None:
    """Check one call's slates; cheap enough for every call.

    Args:
        recommendations: what the agent returned.
        requests: what it was asked.
        platform: whose items are alive today.
        agent_name: named in the message.

    Raises:
        InvalidInput: a slate breaks the contract of ``Recommendations``; the message names the
            user and says how to mend it.
    """
    field = f"agent {agent_name}"
    shape = (len(requests), requests.num_slots)
    if not isinstance(recommendations, Recommendations):
        raise InvalidInput(field, _looks(recommendations), "recommend must return an agents.base.Recommendations")
    items = recommendations.items
    if not isinstance(items, np.ndarray) or items.shape != shape or not np.issubdtype(items.dtype, np.integer):
        raise InvalidInput(field, _looks(items), f"items must be an integer array of shape {shape}, one row a user")

    def refuse(bad: BoolArray, values: object, advice: str) -> None:
        if bad.any():
            row, slot = np.argwhere(bad)[0]
            value = np.asarray(values)[row, slot].item()
            raise InvalidInput(field, value, f"user {requests.user[row]}, slot {slot}: {advice}")

    num_items = platform.catalog.num_items
    refuse((items < 0) | (items >= num_items), items, f"items must be in 0 .. {num_items - 1}")
    refuse(
        ~platform.catalog.alive(platform.day)[items], items, "this item is not alive today; use platform.live_items()"
    )
    refuse(repeats(items), items, "this item is on the slate twice; draw without replacement")
    excluded = np.zeros(shape, bool)
    for slot in range(shape[1]):
        excluded[:, slot] = (requests.exclude == items[:, slot, None]).any(axis=1)
    refuse(excluded, items, "this item is in requests.exclude; leave those out before ranking")
    propensity = recommendations.propensity
    if propensity is not None:
        if np.shape(propensity) != shape:
            raise InvalidInput(field, _looks(propensity), f"propensity must have shape {shape}, or be None")
        good = (np.asarray(propensity) > 0) & (np.asarray(propensity) <= 1)  # NaN is not
        refuse(~good, propensity, "propensity must be in (0, 1]; return None if the agent cannot say")
    cluster = recommendations.cluster
    if cluster is not None:
        if np.shape(cluster) != shape or not np.issubdtype(np.asarray(cluster).dtype, np.integer):
            raise InvalidInput(field, _looks(cluster), f"cluster must be an integer array of shape {shape}, or None")
        num_clusters = platform.clusters.num_clusters
        refuse(
            (cluster < 0) | (cluster >= num_clusters), cluster, f"cluster must be in 0 .. {num_clusters - 1}, or None"
        )


def _looks(value: object) -> str:
    """What was found in place of an array, for a message."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__
