"""Users' feedback on slates, and the state of the day's session."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sim.arrays import BoolArray, Columns, FloatArray, IntArray
from sim.log import NOT_ASKED

LONG_VIEW_SECONDS = 18.0
VALID_PLAY_SECONDS = 7.0
FRESH_BOREDOM = 0.5  # boredom with which every day starts


@dataclass(frozen=True)
class Feedback(Columns):
    """What B users did with slates of S items. Rows after the user left are all False or 0.

    Attributes:
        examined, consumed, positive, liked, disliked: (B, S) bool.
        watch_seconds, watch_fraction: (B, S) float32.
        left: (B,) bool, whether the user left the platform for today.
        dormant: (B, S) bool, hidden truth: the item's interest was dormant when it was shown.
        discovered: (B, S) bool, hidden truth: this item turned it into a discovered one.
        survey: (B, S) int8, the answer of a user who was asked after this item: 1 yes, 0 no; ``NOT_ASKED``.
    """

    examined: BoolArray
    consumed: BoolArray
    positive: BoolArray
    liked: BoolArray
    disliked: BoolArray
    watch_seconds: FloatArray
    watch_fraction: FloatArray
    left: BoolArray
    dormant: BoolArray
    discovered: BoolArray
    survey: IntArray

    @staticmethod
    def empty(num_users: int, num_slots: int) -> "Feedback":
        """Nothing examined yet."""
        shape = (num_users, num_slots)
        arrays: dict[str, Any] = {f.name: np.zeros(shape, bool) for f in fields(Feedback)}
        arrays |= {name: np.zeros(shape, np.float32) for name in ("watch_seconds", "watch_fraction")}
        arrays |= {"left": np.zeros(num_users, bool), "survey": np.full(shape, NOT_ASKED, np.int8)}
        return Feedback(**arrays)


@dataclass
class SessionState(Columns):
    """The state of today's session, for all N users.

    Attributes:
        minutes: (N,) float32 spent today.
        boredom: (N,) float32 in [0, 1].
        enjoyment: (N,) float64, sum of sigmoid(u) over examined items.
        num_examined: (N,) int32.
        surveyed: (N,) bool, whether the user was asked today (``sim.hidden.survey``).
    """

    minutes: FloatArray
    boredom: FloatArray
    enjoyment: FloatArray
    num_examined: IntArray
    surveyed: BoolArray

    @staticmethod
    def begin(num_users: int) -> "SessionState":
        """A fresh day."""
        return SessionState(
            minutes=np.zeros(num_users, np.float32),
            boredom=np.full(num_users, FRESH_BOREDOM, np.float32),
            enjoyment=np.zeros(num_users),
            num_examined=np.zeros(num_users, np.int32),
            surveyed=np.zeros(num_users, bool),
        )
