"""What is asked: the next items, the next clusters, and the next clusters that are new to the user."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.offline.split import Split
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.platform import Platform, Requests

TITLES = {
    "next_item": "next item",
    "next_cluster": "next cluster",
    "next_novel_cluster": "next novel cluster",
}


@dataclass(frozen=True)
class Task:
    """What U users should be offered, and out of what.

    Attributes:
        name: a key of ``TITLES``.
        size: what there is at all, S: targets and lists are 0 .. S-1.
        row, target: (T,) int64 distinct pairs, sorted: what pleased the user in place ``row``.
        unseen: (T,) bool, whether the target is of a cluster that the user never consumed from before.
        num_candidates: (U,) int64, what an answer could be: the choices of a random one.
        left_out: reason -> how many pairs of user and target are not asked for.
    """

    name: str
    size: int
    row: IntArray
    target: IntArray
    unseen: BoolArray
    num_candidates: IntArray
    left_out: Mapping[str, int]

    @cached_property
    def num_targets(self) -> IntArray:
        """(U,) int64."""
        return np.bincount(self.row, minlength=len(self.num_candidates))

    @cached_property
    def users(self) -> IntArray:
        """(V,) int64, places of the users who have a target."""
        return np.flatnonzero(self.num_targets)

    def hits(self, lists: IntArray) -> BoolArray:
        """(U, k) bool: which entries of the lists (U, k), -1 pads, are targets."""
        keys = np.arange(len(lists))[:, None] * self.size + lists
        return np.asarray((lists >= 0) & np.isin(keys, self.row * self.size + self.target))


def tasks_of(parts: Split, platform: Platform, requests: Requests) -> dict[str, Task]:
    """The three tasks of a split, at the start of the first held-out day; ``requests`` are of ``parts.asked``."""
    row = np.searchsorted(parts.asked, parts.liked.user)
    consumed = platform.consumed_clusters(parts.asked)  # (U, M)
    num_clusters = consumed.shape[1]
    pairs = np.unique(row * num_clusters + parts.liked.cluster)
    row_c, cluster = pairs // num_clusters, pairs % num_clusters
    unseen = ~consumed[row_c, cluster]
    everything = np.full(len(parts.asked), num_clusters)
    return {
        "next_item": _items(parts, platform, requests, row, ~consumed[row, parts.liked.cluster]),
        "next_cluster": Task("next_cluster", num_clusters, row_c, cluster, unseen, everything, {}),
        "next_novel_cluster": Task(
            "next_novel_cluster",
            num_clusters,
            row_c[unseen],
            cluster[unseen],
            unseen[unseen],
            num_clusters - consumed.sum(axis=1),
            {"of a cluster that the user had consumed from before": int((~unseen).sum())},
        ),
    }


def _items(parts: Split, platform: Platform, requests: Requests, row: IntArray, unseen: BoolArray) -> Task:
    item, live = parts.liked.item, platform.live_items()
    size = 1 + max(platform.catalog.num_items - 1, int(item.max(initial=0)))
    alive = np.zeros(size, bool)
    alive[live] = True
    place, slot = np.nonzero(requests.exclude >= 0)
    excluded = np.unique(place * size + requests.exclude[place, slot])
    excluded = excluded[alive[excluded % size]]
    barred = alive[item] & np.isin(row * size + item, excluded)
    kept = np.flatnonzero(alive[item] & ~barred)
    kept = kept[np.lexsort((item[kept], row[kept]))]
    return Task(
        "next_item",
        size,
        row[kept],
        item[kept],
        unseen[kept],
        len(live) - np.bincount(excluded // size, minlength=len(parts.asked)),
        {
            "on an item that could not be shown on the first held-out day": int((~alive[item]).sum()),
            "on an item shown to the user recently, which is not shown again": int(barred.sum()),
        },
    )


def discounts(length: int) -> FloatArray:
    """(length,) 1 / log2(rank + 1), ranks from 1: what a hit at each rank adds to DCG."""
    return np.asarray(1.0 / np.log2(np.arange(2, length + 2)))
