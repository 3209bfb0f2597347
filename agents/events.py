"""What users consumed, kept compactly by agents that learn from sequences."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.log import InteractionLog


@dataclass(frozen=True)
class Events:
    """R consumed items, sorted by user, then time. Immutable.

    Attributes:
        user: (R,) int64.
        item: (R,) int64.
        watch: (R,) float32, watched fraction.
        positive: (R,) bool.
    """

    user: IntArray
    item: IntArray
    watch: FloatArray
    positive: BoolArray

    def __len__(self) -> int:
        return len(self.user)

    @staticmethod
    def of(log: InteractionLog) -> "Events":
        """The log's consumed rows; the log is in order of time, as always."""
        rows = np.flatnonzero(log.consumed)
        rows = rows[np.argsort(log.user[rows], kind="stable")]
        return Events(log.user[rows], log.item[rows], log.watch_fraction[rows], log.positive[rows])

    def followed_by(self, later: "Events") -> tuple["Events", BoolArray]:
        """Merge with what happened afterwards.

        Returns:
            Both together, and (R,) bool: which rows are from ``later``.
        """
        user = np.concatenate([self.user, later.user])
        order = np.argsort(user, kind="stable")  # keeps the earlier rows of a user before the later ones
        merged = Events(
            user[order],
            np.concatenate([self.item, later.item])[order],
            np.concatenate([self.watch, later.watch])[order],
            np.concatenate([self.positive, later.positive])[order],
        )
        return merged, order >= len(self)

    def last(self, num: int) -> "Events":
        """The ``num`` most recent events of each user."""
        end = np.searchsorted(self.user, self.user, side="right")
        kept = end - np.arange(len(self)) <= num
        return Events(self.user[kept], self.item[kept], self.watch[kept], self.positive[kept])

    def windows(self, user: IntArray, end: IntArray, length: int) -> IntArray:
        """The events of users (W,) just before rows ``end`` (W,).

        Returns:
            (W, length) int64 row numbers, oldest first, -1 pads on the left.
        """
        rows: IntArray = end[:, None] + np.arange(-length, 0)
        return np.where(rows >= np.searchsorted(self.user, user)[:, None], rows, -1)

    def save(self, path: Path) -> None:
        """Write safetensors."""
        save_file({"user": self.user, "item": self.item, "watch": self.watch, "positive": self.positive}, path)

    @staticmethod
    def load(path: Path) -> "Events":
        """Read what ``save`` wrote."""
        return Events(**load_file(path))
