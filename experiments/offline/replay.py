"""The platform's records at the start of a day, made from a log alone, without a world."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from experiments.datasets.dataset import LoggedDataset
from sim.arrays import IntArray
from sim.hidden.config import PlatformConfig
from sim.log import InteractionLog
from sim.platform import PlatformRecords

_WIDTH = 16
"""Impressions a user that are written down at a time; of few users with many, the matrix stays small."""


def replay(
    history: LoggedDataset, cluster_of_item: IntArray, day: int, memory: PlatformConfig, exclude_seen: bool
) -> PlatformRecords:
    """Write a log into a platform's book-keeping, day by day, as the live platform writes it; then ``day`` begins.

    Items are filed as ``cluster_of_item`` has them, whatever ``InterestClusters.file`` would say: a log from elsewhere
    may rest on clusters that were never made from embeddings.

    Args:
        history: the rows before ``day``.
        cluster_of_item: (n,) int32 of the catalog's items.
        memory: lengths of histories, and of what is not shown again.
        exclude_seen: whether a user's recent impressions are not to be shown again, as on the live platform.
    """
    records = PlatformRecords(
        history.num_users,
        history.catalog,
        history.clusters,
        memory.history_length,
        memory.history_days,
        memory.seen_length if exclude_seen else 0,
    )
    records.cluster_of_item = cluster_of_item.astype(np.int32)
    days, begin = np.unique(history.log.day, return_index=True)
    ends = [*begin[1:].tolist(), len(history.log)]
    with tqdm(total=len(history.log), desc="replay", unit="row", leave=False, delay=2, dynamic_ncols=True) as bar:
        for of_day, start, end in zip(days.tolist(), begin.tolist(), ends, strict=True):
            records.begin_day(of_day, history.catalog)
            for rows, user, place in _batches(history.log.user[start:end]):
                _record(records, history.log.where(start + rows), user, place)
                bar.update(len(rows))
    records.begin_day(day, history.catalog)
    return records


def _batches(user: IntArray) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """A day's rows (R,) in batches in which nobody has more than ``_WIDTH``, everybody's own in their order.

    Yields:
        Row numbers (r,), the batch's distinct users (b,), and the cell (r, 2) of each row in a matrix of users
        by ``_WIDTH``.
    """
    order = np.argsort(user, kind="stable")
    of_row = user[order]
    ordinal = np.arange(len(order)) - np.searchsorted(of_row, of_row)  # of the user's rows of the day
    for first in range(0, int(ordinal.max(initial=-1)) + 1, _WIDTH):
        here = (ordinal >= first) & (ordinal < first + _WIDTH)
        distinct, row = np.unique(of_row[here], return_inverse=True)
        yield order[here], distinct, np.stack([row, ordinal[here] - first], axis=1)


def _record(records: PlatformRecords, log: InteractionLog, user: IntArray, place: IntArray) -> None:
    """Write down rows (r,) of distinct users (b,), whose cells are ``place`` (r, 2)."""
    cell = (place[:, 0], place[:, 1])
    shape = (len(user), int(place[:, 1].max()) + 1)

    def matrix(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        filled = np.zeros(shape, values.dtype)
        filled[cell] = values
        return filled

    examined = matrix(np.ones(len(log), bool))
    records.record(
        user, matrix(log.item), examined, matrix(log.consumed), matrix(log.watch_fraction), matrix(log.positive)
    )
