"""What a log teaches the sequence model: targets, and the windows of events whose states they belong to."""

from dataclasses import dataclass

import numpy as np

from agents.events import Events
from agents.objectives import Objective
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog


@dataclass(frozen=True)
class Targets:
    """P impressions to learn from.

    Attributes:
        user: (P,) int64.
        item: (P,) int64.
        end: (P,) int64 rows of events; the user's events before that row are the state's past.
        reward: (P,) float32, the reward of each.
        log_propensity: (P,) float32, as logged; NaN where unknown.
    """

    user: IntArray
    item: IntArray
    end: IntArray
    reward: FloatArray
    log_propensity: FloatArray

    @staticmethod
    def of(log: InteractionLog, end: IntArray, reward: FloatArray, objective: Objective) -> "Targets":
        """What a log's R impressions teach, given ``Events.pasts`` and rewards, both (R,).

        With the behaviour ``logged``, what users chose themselves and their life before day 0 teach nothing: no
        recommender showed it, with whatever probability. It still is part of the past of what came later.

        Raises:
            InvalidInput: the objective needs a propensity that the log does not have.
        """
        every = objective.every_impression or objective.behaviour == "estimated"
        wanted = np.ones(len(log), bool) if every else reward > 0
        if objective.behaviour == "logged":
            wanted &= log.recommended
        rows = np.flatnonzero(wanted)
        with np.errstate(invalid="ignore"):
            log_propensity = np.log(log.propensity[rows])
        if objective.behaviour == "logged" and np.isnan(log_propensity).any():
            raise InvalidInput(
                "log.propensity",
                float("nan"),
                "must be known of every positive impression: the recommender that showed it cannot say with what "
                "probability it did; use objective.behaviour=estimated",
            )
        return Targets(log.user[rows], log.item[rows], end[rows], reward[rows], log_propensity)


@dataclass(frozen=True)
class Windows:
    """W stretches of users' events, and the targets whose states each of them yields.

    Attributes:
        rows: (W, L) int64 rows of the events, -1 pads on the left.
        target: (P,) int64, numbers of the targets, sorted by window.
        place: (P,) int64 in [0, L], how many of the window's positions are the past of each.
        begin: (W + 1,) int64, where each window's targets begin in ``target``.
    """

    rows: IntArray
    target: IntArray
    place: IntArray
    begin: IntArray

    @staticmethod
    def of(events: Events, targets: Targets, history: int) -> "Windows":
        """Cut windows so that each target is in one, with at least half of ``history`` before it, if there is as much.

        A user's last window ends at their last target's state, the one before it half a window
        earlier, and so on; those without a target are left out.
        """
        user, place = np.unique(targets.user, return_inverse=True)
        last = np.zeros(len(user), np.int64)
        np.maximum.at(last, place, targets.end)
        stride = history // 2
        behind = (last[place] - targets.end) // stride  # windows between the target's and the user's last
        key, window = np.unique(np.stack([place, behind]), axis=1, return_inverse=True)
        end = last[key[0]] - key[1] * stride
        order = np.argsort(window, kind="stable")
        return Windows(
            rows=events.windows(user[key[0]], end, history),
            target=order,
            place=(history - (end[window] - targets.end))[order],
            begin=np.searchsorted(window[order], np.arange(len(end) + 1)),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def targets(self, window: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """The targets of w windows: their numbers, which of the w each is in, and its place there; (T,) each."""
        length = self.begin[window + 1] - self.begin[window]
        which = np.repeat(np.arange(len(window)), length)
        index = np.arange(len(which)) + np.repeat(self.begin[window] - np.cumsum(length) + length, length)
        return self.target[index], which, self.place[index]
