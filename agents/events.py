"""What users consumed, kept compactly by agents that learn from sequences."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bool, BoolArray, Columns, Float32, Int64, IntArray
from sim.log import InteractionLog


@dataclass(frozen=True)
class Events(Columns):
    """R consumed items, sorted by user, then time. Immutable.

    Attributes:
        user: (R,) int64.
        item: (R,) int64.
        watch: (R,) float32, watched fraction.
        positive: (R,) bool.
        surprising: (R,) bool, positives on a cluster that was new to the user of late
            (``agents.novelty``); False where nobody asked.
    """

    user: Int64
    item: Int64
    watch: Float32
    positive: Bool
    surprising: Bool

    @staticmethod
    def of(log: InteractionLog, surprising: BoolArray | None = None) -> "Events":
        """The log's consumed rows; the log is in order of time, as always.

        Args:
            log: R' impressions.
            surprising: (R',) bool; None for none.
        """
        rows = np.flatnonzero(log.consumed)
        rows = rows[np.argsort(log.user[rows], kind="stable")]
        bits = np.zeros(len(rows), bool) if surprising is None else surprising[rows]
        return Events(log.user[rows], log.item[rows], log.watch_fraction[rows], log.positive[rows], bits)

    def followed_by(self, later: "Events") -> tuple["Events", BoolArray]:
        """Merge with what happened afterwards.

        Returns:
            Both together, and (R,) bool: which rows are from ``later``.
        """
        # A stable order keeps the earlier rows of a user before the later ones.
        order = np.argsort(np.concatenate([self.user, later.user]), kind="stable")
        return Events.concatenate([self, later]).where(order), order >= len(self)

    def last(self, num: int) -> "Events":
        """The ``num`` most recent events of each user."""
        end = np.searchsorted(self.user, self.user, side="right")
        return self.where(end - np.arange(len(self)) <= num)

    def windows(self, user: IntArray, end: IntArray, length: int) -> IntArray:
        """The events of users (W,) just before rows ``end`` (W,).

        Returns:
            (W, length) int64 row numbers, oldest first, -1 pads on the left.
        """
        rows: IntArray = end[:, None] + np.arange(-length, 0)
        return np.where(rows >= np.searchsorted(self.user, user)[:, None], rows, -1)

    def pasts(self, log: InteractionLog, is_new: BoolArray) -> IntArray:
        """Where the past of each impression ends: at the events that the user had before it.

        Args:
            log: R' impressions, the consumed ones among which are the new events.
            is_new: (R,) bool, from ``followed_by``.

        Returns:
            (R',) int64 rows ``end``: the user's events before that row are those before the
            impression. It is the impression's own row if it was consumed, else the user's next
            event's; one past the user's last event where there is none.
        """
        order = np.argsort(log.user, kind="stable")
        user, consumed = log.user[order], log.consumed[order]
        before: IntArray = np.cumsum(consumed) - consumed  # consumed by anyone, earlier in this order
        within: IntArray = before - before[np.searchsorted(user, user)]  # ... by the user
        old = self.user[~is_new]
        num_old = np.searchsorted(old, user, side="right") - np.searchsorted(old, user)
        end = np.empty(len(order), np.int64)
        end[order] = np.searchsorted(self.user, user) + num_old + within
        return end
