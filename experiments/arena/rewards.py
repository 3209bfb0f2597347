"""The rewards of a slate's slots."""

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.feedback import Feedback

REWARDS = {
    "positive": "positives",
    "watch": "watch time (s)",
    "novel_positive": "novel positives",
}
"""Target metrics, each a slate's mean, and their titles. A slot that the user did not get to earns 0."""


def rewards_of(feedback: Feedback, consumed_before: BoolArray, cluster: IntArray) -> FloatArray:
    """The reward of each slot.

    A positive is novel where the user had consumed nothing of its cluster before the slot, earlier slots of
    the slate included (as ``agents.novelty.novel_rows`` has it).

    Args:
        feedback: of B slates of S slots.
        consumed_before: (B, M) clusters that each user had consumed from before the slate.
        cluster: (B, S) of the slots' items.

    Returns:
        (B, S, 3) float64, in the order of ``REWARDS``.
    """
    novel = novel_slots(consumed_before, cluster, feedback.consumed)
    return np.stack(
        [feedback.positive, np.asarray(feedback.watch_seconds, np.float64), feedback.positive & novel], axis=2
    ).astype(np.float64)


def novel_slots(consumed_before: BoolArray, cluster: IntArray, consumed: BoolArray) -> BoolArray:
    """(B, S) bool: whether the slot's cluster was new to the user before the slot."""
    novel = ~np.take_along_axis(consumed_before, cluster.astype(np.int64), axis=1)
    for slot in range(1, cluster.shape[1]):
        for earlier in range(slot):
            novel[:, slot] &= ~(consumed[:, earlier] & (cluster[:, earlier] == cluster[:, slot]))
    return np.asarray(novel)
