"""Tables for pasts of three clusters: the triples that the log shows, and pairs for all others."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.table import TransitionTable, as_small, map_array, read_manifest, write_arrays
from agents.transitions import POSITIVE_WEIGHT
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.random import RandomStream

MOST_CLUSTERS = 20
"""Recent clusters of a user that make triples, the likeliest to be sampled first (chosen: 1,140 triples a user)."""

_ARRAYS = ("keys", "clusters", "log_probability", "pair_clusters", "pair_log_probability")
_CHUNK_USERS = 4096  # users whose triples are counted at a time: some 40 MB


@dataclass(frozen=True)
class TripleTable:
    """A sparse table over unordered triples of level-2 clusters; other pasts are looked up as pairs.

    A past of three different clusters whose triple is in the table has that row. Any other past
    (c1, c2, c3), also one in which a cluster is repeated, has the row of the ordered pair (c1, c2): the
    first two of the three that were drawn, which are distributed as a pair drawn by itself.

    Attributes:
        keys: (T,) int64, ascending: ((a * M) + b) * M + c of each triple a < b < c.
        clusters, log_probability: (T, n), as ``TransitionTable``'s; -1 and nan where there are fewer.
        manifest: what the table was made of.
        pairs: over all ordered pairs.
    """

    keys: IntArray
    clusters: IntArray
    log_probability: FloatArray
    manifest: dict[str, Any]
    pairs: TransitionTable

    @property
    def num_clusters(self) -> int:
        """M."""
        return self.pairs.num_clusters

    @property
    def past_clusters(self) -> int:
        """K = 3."""
        return 3

    def rows_of(self, past: IntArray) -> IntArray:
        """(B,) int64, the rows of pasts (B, 3) of clusters 0 .. M-1, in any order; -1 = not in the table."""
        if len(self.keys) == 0:
            return np.full(len(past), -1)
        key = keys_of(past, self.num_clusters)
        row = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[row] == key, row, -1)

    def next_clusters(self, past: IntArray) -> tuple[IntArray, BoolArray]:
        """What to show next after pasts (B, 3); see ``TransitionTable.next_clusters``.

        Returns:
            (B, n) clusters, best first, -1 = none; and (B,) bool, whether the triple is in the table.
        """
        row = self.rows_of(past)
        known = row >= 0
        clusters, _ = self.pairs.next_clusters(past[:, :2])  # (B, n)
        if known.any():
            clusters[known] = self.clusters.take(row[known], axis=0)
        return clusters, known

    @staticmethod
    def write(
        folder: Path,
        keys: IntArray,
        clusters: IntArray,
        log_probability: FloatArray,
        pairs: TransitionTable,
        about: dict[str, Any],
    ) -> None:
        """Write a table with its own copy of ``pairs``; see ``TransitionTable.write``."""
        wide = pairs.clusters.shape[1] - clusters.shape[1]  # of few clusters, triples leave fewer labels than pairs
        whole = {
            "keys": keys.astype(np.int64),
            "clusters": as_small(np.pad(clusters, ((0, 0), (0, wide)), constant_values=-1), pairs.num_clusters),
            "log_probability": np.pad(log_probability, ((0, 0), (0, wide)), constant_values=np.nan).astype(np.float32),
            "pair_clusters": np.asarray(pairs.clusters),
            "pair_log_probability": np.asarray(pairs.log_probability),
        }
        sizes = {
            "num_clusters": pairs.num_clusters,
            "past_clusters": 3,
            "top_n": pairs.clusters.shape[1],
            "num_triples": len(keys),
            "pairs": pairs.manifest,
        }
        write_arrays(folder, whole, {**about, **sizes})

    @staticmethod
    def open(folder: Path) -> "TripleTable":
        """Map a table into memory.

        Raises:
            InvalidInput: not a table, of another version, truncated or changed.
        """
        manifest = read_manifest(folder, _ARRAYS)
        num, top_n = int(manifest.get("num_triples", -1)), int(manifest["top_n"])
        shape, of_pairs = (num, top_n), (int(manifest["num_clusters"]) ** 2, top_n)
        shapes = ((num,), shape, shape, of_pairs, of_pairs)
        keys, clusters, log_probability, of_pair, log_probability_of_pair = (
            map_array(folder, name, manifest, each) for name, each in zip(_ARRAYS, shapes, strict=True)
        )
        pairs = TransitionTable(of_pair, log_probability_of_pair, manifest.get("pairs", {}))
        return TripleTable(keys, clusters, log_probability, manifest, pairs)


Table = TransitionTable | TripleTable


def open_table(folder: Path) -> Table:
    """Map a table of any kind into memory.

    Raises:
        InvalidInput: not a table, of another version, truncated or changed.
    """
    triples = int(read_manifest(folder, ())["past_clusters"]) == 3
    return TripleTable.open(folder) if triples else TransitionTable.open(folder)


def finished_table(folder: Path, inputs: dict[str, Any], top_n: int) -> Any:
    """The table in a folder, of the kind that its inputs say; None if there is none yet.

    Args:
        folder: of the table.
        inputs: what it must have been made of, as in its manifest.
        top_n: clusters a pair.

    Raises:
        InvalidInput: a damaged table, or one of other inputs.
    """
    if not folder.is_dir():
        return None
    table = open_table(folder)
    if table.manifest.get("inputs") != inputs or table.manifest["top_n"] != top_n:
        raise InvalidInput("table", str(folder), "was made of other inputs; delete it or choose another folder")
    return table


def keys_of(triples: IntArray, num_clusters: int) -> IntArray:
    """(T,) int64, one number for each triple (T, 3), whatever its order."""
    low, middle, high = np.sort(triples.astype(np.int64), axis=1).T
    return np.asarray((low * num_clusters + middle) * num_clusters + high)


def triples_of(keys: IntArray, num_clusters: int) -> IntArray:
    """(T, 3) int32, ascending in a row: what ``keys_of`` made the numbers of."""
    rest, high = np.divmod(keys, num_clusters)
    return np.stack([*np.divmod(rest, num_clusters), high], axis=1).astype(np.int32)


def recent_triples(
    log: InteractionLog, num_clusters: int, history_days: int, history_length: int, rng: RandomStream
) -> tuple[IntArray, IntArray]:
    """The unordered triples of different clusters that users' recent pasts hold.

    A user's are all triples of the ``MOST_CLUSTERS`` clusters that they are likeliest to be represented
    by: those of most weight (``POSITIVE_WEIGHT``) among what a request at the log's end would show: the
    last ``history_length`` items consumed in the last days; equal ones in random order.

    Args:
        log: rows of any users.
        num_clusters: M.
        history_days: how far back from the log's last day the past reaches, days.
        history_length: most items of a user that count.
        rng: the order of clusters of equal weight; row ``i`` serves user ``i``.

    Returns:
        (T,) int64 keys, ascending, and (T,) int64 the number of users of each.
    """
    recent = log.where(log.consumed & (log.day > int(log.day.max(initial=0)) - history_days))
    recent = recent.where(np.argsort(recent.user, kind="stable"))
    behind = np.searchsorted(recent.user, recent.user, side="right") - np.arange(len(recent))
    recent = recent.where(behind <= history_length)
    pair, place = np.unique(recent.user * num_clusters + recent.cluster, return_inverse=True)
    weight = np.bincount(place, weights=np.where(recent.positive, POSITIVE_WEIGHT, 1.0), minlength=len(pair))
    user, cluster = np.divmod(pair, num_clusters)
    users, of_user = np.unique(user, return_inverse=True)
    tie = rng.uniform(users, num_clusters)[of_user, cluster]
    order = np.lexsort((tie, -weight, user))
    user, cluster = user[order], cluster[order]
    rank = np.arange(len(user)) - np.searchsorted(user, user)
    kept = rank < MOST_CLUSTERS
    _, row = np.unique(user[kept], return_inverse=True)
    padded = np.full((int(row.max(initial=-1)) + 1, MOST_CLUSTERS), -1, np.int64)  # (users, at most)
    padded[row, rank[kept]] = cluster[kept]
    choice = np.array(list(combinations(range(MOST_CLUSTERS), 3)))  # (1140, 3)
    keys, count = np.empty(0, np.int64), np.empty(0, np.int64)
    for start in range(0, len(padded), _CHUNK_USERS):
        triples = padded[start : start + _CHUNK_USERS][:, choice].reshape(-1, 3)
        of_chunk = keys_of(triples[(triples >= 0).all(axis=1)], num_clusters)
        together = np.concatenate([keys, of_chunk])
        keys, inverse = np.unique(together, return_inverse=True)
        weights = np.concatenate([count, np.ones(len(of_chunk), np.int64)])
        count = np.bincount(inverse, weights=weights, minlength=len(keys)).astype(np.int64)
    return keys, count
