"""An interaction log as episodes of offline reinforcement learning: one a user, a request a step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs.observation import Observation, history_fields
from sim.arrays import IntArray
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.log import InteractionLog

MINUTES_A_DAY = 24.0 * 60.0

PADS: dict[str, Any] = {
    "examined": False, "cluster": np.int32(-1), "length": np.float32(0), "watch_seconds": np.float32(0),
    "watch_fraction": np.float32(0), "liked": False, "disliked": False, "positive": False, "consumed": False,
    "propensity": np.float32(np.nan), "source": np.int8(-1), "planned": np.int32(-1), "survey": np.int8(-1),
}  # fmt: skip
"""The slots' fields in ``Episodes.slots``, with what stands where the user did not come to see a slot."""


@dataclass(frozen=True)
class Episodes:
    """U users' requests, Q in all, in the order of user, day, step; slates of S slots; histories of H items.

    Attributes:
        user: (U,) int64, ascending.
        ends: (U,) int64, one behind each user's last request.
        observation: (Q + U, ...) a field: of each user before each of their requests, and then once more.
        items: (Q, S) int64, the slates; -1 where the user did not come to see the slot.
        minutes: (Q,) float64 watched of the slate.
        step: (Q,) int32, number of the request within its day.
        slots: (Q, S) a field of ``PADS``.
        observation_space: of an observation.
        action_space: of a slate.
    """

    user: IntArray
    ends: IntArray
    observation: Observation
    items: IntArray
    minutes: npt.NDArray[np.float64]
    step: IntArray
    slots: dict[str, npt.NDArray[Any]]
    observation_space: spaces.Dict
    action_space: spaces.Box


def log_episodes(log: InteractionLog, catalog: Catalog, history_length: int, history_days: int) -> Episodes:
    """Cut a log into episodes.

    Args:
        log: of at least one impression; no slot of a request twice.
        catalog: holds every item of the log.
        history_length: H, consumed items an observation holds.
        history_days: how far back they reach.

    Raises:
        InvalidInput: the log is not like that.
    """
    log = _checked(log.where(np.lexsort((log.slot, log.step, log.day, log.user))), catalog)
    keys = np.stack([log.user, log.day, log.step])  # (3, R)
    starts = _starts(keys)  # (Q,) first row of each request
    request = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(log)))  # (R,)
    users = _starts(keys[:1])  # (U,) first row of each user
    ends = np.append(np.searchsorted(starts, users[1:]), len(starts))  # (U,) in requests
    shape = (len(starts), int(log.slot.max()) + 1)
    rows = {**{name: getattr(log, name) for name in PADS if name not in ("examined", "length")}}
    rows |= {"examined": np.ones(len(log), bool), "length": catalog.length[log.item]}
    slots = {name: np.full(shape, pad) for name, pad in PADS.items()}
    for name, values in slots.items():
        values[request, log.slot] = rows[name]
    items = np.full(shape, -1, np.int64)
    items[request, log.slot] = log.item
    fields = history_fields(
        history_length, int(max(log.cluster.max(), log.planned.max())) + 1, int(log.day.max()), MINUTES_A_DAY
    )
    fields["day"] = spaces.Box(min(0, int(log.day.min())), max(0, int(log.day.max())), (1,), np.int32)
    history_item = spaces.Box(-1, catalog.num_items - 1, (history_length,), np.int64)
    return Episodes(
        user=log.user[users],
        ends=ends,
        observation=_observation(log, starts, users, ends, history_length, history_days),
        items=items,
        minutes=np.bincount(request, log.watch_seconds.astype(np.float64)) / 60,
        step=log.step[starts],
        slots=slots,
        observation_space=spaces.Dict({**fields, "history_item": history_item}),
        action_space=spaces.Box(-1, catalog.num_items - 1, shape[1:], np.int64),
    )


def _checked(log: InteractionLog, catalog: Catalog) -> InteractionLog:
    """The log, sorted by user, day, step, slot."""
    if not len(log):
        raise InvalidInput("log", "no rows", "must hold at least one impression")
    if log.item.max() >= catalog.num_items:
        raise InvalidInput("log.item", int(log.item.max()), f"must be one of the catalog's {catalog.num_items} items")
    same = np.diff(np.stack([log.user, log.day, log.step, log.slot])) == 0
    if same.all(axis=0).any():
        row = int(same.all(axis=0).argmax())
        place = f"user {log.user[row]}, day {log.day[row]}, step {log.step[row]}, slot {log.slot[row]}"
        raise InvalidInput("log", place, "must hold each slot once; logs of several arms must not be mixed")
    return log


def _starts(keys: npt.NDArray[Any]) -> IntArray:
    """(n,) first rows of the runs of equal columns in ``keys`` (k, R)."""
    return np.append(0, np.flatnonzero((np.diff(keys) != 0).any(axis=0)) + 1)


def _observation(
    log: InteractionLog, starts: IntArray, users: IntArray, ends: IntArray, length: int, days: int
) -> Observation:
    """Observations (Q + U, ...) of a sorted log whose requests start in rows ``starts`` and users in ``users``."""
    # A moment stands before a row of the log: each request's first, and after each user's last the next user's.
    row = np.insert(starts, ends, np.append(users[1:], len(log)))  # (Q + U,)
    user = np.insert(np.searchsorted(users, starts, side="right") - 1, ends, np.arange(len(users)))
    day = log.day[np.insert(starts, ends, starts[ends - 1])]
    seconds = np.append(0, np.cumsum(log.watch_seconds, dtype=np.float64))
    days_start = _starts(np.stack([log.user, log.day]))
    # The day of the moment is that of the row before it, or starts with it.
    this_day = np.searchsorted(days_start, np.insert(starts, ends, starts[ends - 1]), side="right") - 1
    minutes = (seconds[row] - seconds[days_start[this_day]]) / 60
    consumed = np.flatnonzero(log.consumed)  # (C,) rows
    place = np.searchsorted(consumed, row)[:, None] - length + np.arange(length)  # (Q + U, H) into ``consumed``
    first = np.searchsorted(consumed, users)[user]  # (Q + U,) the user's own begin there
    known = place >= first[:, None]
    at = consumed[np.where(known, place, 0)] if len(consumed) else np.zeros_like(place)
    known &= log.day[at] > day[:, None] - days
    return {
        "day": day[:, None].astype(np.int32),
        "minutes_today": minutes[:, None].astype(np.float32),
        "history_cluster": np.where(known, log.cluster[at], -1).astype(np.int32),
        "history_watch": np.where(known, log.watch_fraction[at], 0).astype(np.float32),
        "history_positive": (known & log.positive[at]).astype(np.int8),
        "history_item": np.where(known, log.item[at], -1),
    }
