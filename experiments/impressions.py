"""Log rows of what users examined."""

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.feedback import Feedback
from sim.log import InteractionLog


def examined_rows(
    user: IntArray,
    day: int,
    step: int,
    items: IntArray,
    feedback: Feedback,
    cluster_of_item: IntArray | None,
    propensity: FloatArray | None,
    source: IntArray,
    planned: IntArray | None,
) -> InteractionLog:
    """The examined impressions of one request of B users, by user and slot.

    Args:
        user: (B,) who asked.
        day, step: when.
        items: (B, S) the slates.
        feedback: what came of them.
        cluster_of_item: (n,) level-2 cluster of every item; None where there are no clusters yet.
        propensity: (B, S); None where unknown.
        source: (B, S) who filled each slot.
        planned: (B, S) planned cluster; None where nobody planned.
    """
    row, slot = np.nonzero(feedback.examined)
    item = items[row, slot]
    return InteractionLog(
        user=user[row],
        day=np.full(len(row), day),
        step=np.full(len(row), step),
        slot=slot,
        item=item,
        cluster=np.full(len(row), -1) if cluster_of_item is None else cluster_of_item[item],
        watch_seconds=feedback.watch_seconds[row, slot],
        watch_fraction=feedback.watch_fraction[row, slot],
        liked=feedback.liked[row, slot],
        disliked=feedback.disliked[row, slot],
        positive=feedback.positive[row, slot],
        consumed=feedback.consumed[row, slot],
        propensity=np.full(len(row), np.nan) if propensity is None else propensity[row, slot],
        source=source[row, slot],
        planned=np.full(len(row), -1) if planned is None else planned[row, slot],
    )
