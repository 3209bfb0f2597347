"""A log split by time: training data, users to ask, and their later positives."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from sim.arrays import IntArray
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.log import PRIOR, InteractionLog


@dataclass(frozen=True)
class Split:
    """Training data and held-out data.

    Attributes:
        day: the first held-out day, on whose morning users are asked.
        history: the data set before that day; its catalog ends with the last item uploaded until then.
        cluster_of_item: (n,) int32, the level-2 cluster of each item of ``history``'s catalog.
        asked: (U,) int64, ascending: users with a positive before the day and one from it on.
        liked: the asked users' positives from the day on, each pair of user and item once, in order of time.
        users: what became of the data set's users, by reason; the numbers add up to all of them.
    """

    day: int
    history: LoggedDataset
    cluster_of_item: IntArray
    asked: IntArray
    liked: InteractionLog
    users: Mapping[str, int]


def split(dataset: LoggedDataset, held_out_days: int) -> Split:
    """Hold out the last days of a data set, none of them of a life before day 0 (``sim.log.PRIOR``).

    Raises:
        InvalidInput: no day is left to learn from, a held-out day is of such a life, or nobody is left to be asked.
    """
    log = dataset.log
    if not len(log):
        raise InvalidInput("offline.dataset", dataset.name, "must have impressions; its log is empty")
    first, last = int(log.day[0]), int(log.day[-1])
    day = last + 1 - held_out_days
    if day <= first:
        raise InvalidInput("offline.held_out_days", held_out_days, f"must leave some of the days {first} to {last}")
    lived = log.day[log.source == PRIOR]
    if len(lived) and day <= lived.max():
        expected = f"must be at most {last - int(lived.max())}: before that, users lived without a recommender"
        raise InvalidInput("offline.held_out_days", held_out_days, expected)
    before = log.day < day
    liked_before, liked_after = (np.unique(log.user[log.positive & rows]) for rows in (before, ~before))
    asked = np.intersect1d(liked_before, liked_after)
    users = {
        "asked": len(asked),
        "left out: no positive in the held-out days": dataset.num_users - len(liked_after),
        "left out: a positive in the held-out days, none before": len(liked_after) - len(asked),
    }
    if not len(asked):
        counted = "; ".join(f"{name} {num:,}" for name, num in users.items())
        raise InvalidInput("offline.held_out_days", held_out_days, f"leaves no user to ask ({counted})")
    liked = log.where(~before & log.positive & np.isin(log.user, asked))
    _, once = np.unique(np.stack([liked.user, liked.item]), axis=1, return_index=True)
    history = _until(dataset.where(before), day)
    filed = dataset.cluster_of_item[: history.catalog.num_items]
    return Split(day, history, filed, asked, liked.where(np.sort(once)), users)


def _until(history: LoggedDataset, day: int) -> LoggedDataset:
    """Without the items behind the last one that was uploaded by a day, or shown before it."""
    uploaded = np.flatnonzero(history.catalog.upload_day <= day)
    num = 1 + max(int(uploaded.max(initial=-1)), int(history.log.item.max(initial=-1)))
    arrays = {f.name: getattr(history.catalog, f.name)[:num] for f in fields(Catalog) if f.name != "vocabulary"}
    return replace(history, catalog=replace(history.catalog, **arrays), item_id=history.item_id[:num])


def dataset_digest(dataset: LoggedDataset) -> str:
    """SHA-256 of all that a recommender may learn from: log, items and clusters."""
    content = hashlib.sha256(f"{dataset.num_users} {dataset.log.digest()} {dataset.clusters.digest}".encode())
    content.update("\0".join(dataset.catalog.vocabulary).encode())
    for f in fields(Catalog):
        if f.name != "vocabulary":
            content.update(np.ascontiguousarray(getattr(dataset.catalog, f.name)).tobytes())
    return content.hexdigest()
