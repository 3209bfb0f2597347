"""From time stamps to days, requests and slots."""

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolArray, IntArray

DAY = 86_400_000
"""Milliseconds."""


class Places(NamedTuple):
    """Where R rows stand in the order of a log: day, step, user, slot.

    Attributes:
        order: (R,) int64, the rows in that order.
        day, step, slot: (R,) int32, of the rows in that order; the first day is 0.
    """

    order: IntArray
    day: IntArray
    step: IntArray
    slot: IntArray


def into_requests(user: IntArray, time: IntArray, request: IntArray | None = None) -> Places:
    """Sort rows into requests, which are a user's rows of the same time; slots are in the order of the rows.

    Args:
        user, time: (R,) int64; milliseconds of local time.
        request: (R,) int64, what the source itself names a request; None where it names none.
    """
    day = time // DAY
    request = time if request is None else request
    sorted_rows = np.lexsort((request, time, user))  # is stable
    u, t, r, d = user[sorted_rows], time[sorted_rows], request[sorted_rows], day[sorted_rows]
    first_of_day = _changes(u) | _changes(d)
    first_of_request = first_of_day | _changes(t) | _changes(r)
    place = np.arange(len(u))
    slot = place - np.maximum.accumulate(np.where(first_of_request, place, 0))
    number = np.cumsum(first_of_request) - 1  # of the request, over all
    step = number - np.maximum.accumulate(np.where(first_of_day, number, 0))
    order = np.lexsort((slot, u, step, d))
    first_day = d.min(initial=np.iinfo(np.int64).max)
    return Places(
        sorted_rows[order],
        (d[order] - first_day).astype(np.int32),
        step[order].astype(np.int32),
        slot[order].astype(np.int32),
    )


def first_of_each(*keys: IntArray) -> BoolArray:
    """(R,) bool: whether no row before it has the same keys (R,) each."""
    order = np.lexsort(keys[::-1])
    same = np.ones(len(order), bool)
    for key in keys:
        same &= ~_changes(key[order])
    first = np.empty(len(order), bool)
    first[order] = ~same
    return first


def _changes(sorted_key: IntArray) -> BoolArray:
    """(R,) bool: whether a row differs from the row before; the first does."""
    changed = np.ones(len(sorted_key), bool)
    np.not_equal(sorted_key[1:], sorted_key[:-1], out=changed[1:])
    return changed
