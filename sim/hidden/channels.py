"""Items that reach users without a recommender's model (hidden): what they choose, what is popular, what happens by.

Three *channels*:

- **own**: an item of an interest that the user knows, as people search, subscribe, and follow links. The interest m is
  drawn with probability proportional to

      a[i, m] (1 - s[i, m])

  over the discovered and acquired interests of user i (a affinity, s satiation). The item is one of its live items,
  each as likely.
- **trending**: a live item, with probability proportional to its popularity.
- **stray**: any live item, each as likely.

No item is shown that the platform excludes, or that stands on the slate already.
"""

from typing import Any, NamedTuple

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.compiled import compiled, compiled_into
from sim.hidden.population import ACQUIRED, DISCOVERED, Population
from sim.random import RandomStream

OWN_CHANNEL, TRENDING_CHANNEL, STRAY_CHANNEL = 0, 1, 2

TRIES = 4
"""Items drawn until one may be shown; then the first that may, from a drawn place on."""

DRAWS_PER_SLOT = 3 + TRIES


class LiveItems(NamedTuple):
    """What can be shown today.

    Attributes:
        item: (n_live,) int64, interest after interest.
        start: (M + 1,) int64, where each interest's items begin.
        popularity: (n_live,) float64, cumulated from 0 to 1 in the order of ``item``.
    """

    item: IntArray
    start: IntArray
    popularity: FloatArray

    @staticmethod
    def of(alive: BoolArray, interest: IntArray, num_interests: int, weight: FloatArray) -> "LiveItems":
        """Sort the live ones among n items.

        Args:
            alive: (n,) bool.
            interest: (n,) int32 of each item.
            num_interests: M.
            weight: (n,) float64 at least 0, popularity of each; equal chances where no live item has any.

        Raises:
            InvalidInput: no item is live.
        """
        live = np.flatnonzero(alive)
        if not len(live):
            expected = "are too few: on some day of the users' life none is live; upload more, or let them live longer"
            raise InvalidInput("world.num_items", len(alive), expected)
        order = live[np.argsort(interest[live], kind="stable")]
        start = np.concatenate([[0], np.cumsum(np.bincount(interest[live], minlength=num_interests))])
        chance = weight[order] if weight[order].sum() > 0 else np.ones(len(order))
        return LiveItems(order.astype(np.int64), start.astype(np.int64), np.cumsum(chance) / chance.sum())


def channel_slates(
    population: Population, user: IntArray, shares: FloatArray, live: LiveItems, exclude: IntArray, num_slots: int,
    stream: RandomStream,
) -> IntArray:  # fmt: skip
    """Slates for users (B,) from the channels; changes nothing.

    A user who knows no interest, or has seen all of it, is shown what is popular instead.

    Args:
        population: all users.
        user: (B,) int64.
        shares: (3,) chances of own, trending, stray for each slot; they sum to 1.
        live: what can be shown.
        exclude: (B, X) int64 items that are not shown, -1 pads.
        num_slots: items a user, S.
        stream: the draws; row = user.

    Returns:
        (B, S) int64, distinct in a row wherever enough items are live.
    """
    slates = np.full((len(user), num_slots), -1, np.int64)
    draws = stream.uniform(user, num_slots * DRAWS_PER_SLOT).reshape(len(user), num_slots, DRAWS_PER_SLOT)
    _fill(population.arrays(), user, slates, np.cumsum(shares), live, exclude, draws)
    return slates


@compiled
def may_show(slates: IntArray, b: int, filled: int, item: int, exclude: IntArray) -> bool:
    """Whether an item is neither among the first ``filled`` of slate b (B, S) nor in row b of the excluded (B, X)."""
    for s in range(filled):
        if slates[b, s] == item:
            return False
    for x in range(exclude.shape[1]):  # noqa: SIM110  (compiled code has no all())
        if exclude[b, x] == item:
            return False
    return True


@compiled_into
def _wanted(people: Any, i: int, slot: int) -> float:
    """a (1 - s) of a known interest; 0 of any other."""
    status = people.status[i, slot]
    known = status in (DISCOVERED, ACQUIRED)
    return float(people.affinity[i, slot] * (1.0 - people.satiation[i, slot])) if known else 0.0


@compiled
def _own_interest(people: Any, i: int, draw: float) -> int:
    """The interest that user i chooses; -1 if they know none."""
    total = 0.0
    for slot in range(people.interest.shape[1]):
        total += _wanted(people, i, slot)
    left, chosen = draw * total, -1
    for slot in range(people.interest.shape[1]):
        wanted = _wanted(people, i, slot)
        if wanted > 0.0 and left >= 0.0:
            chosen = people.interest[i, slot]
        left -= wanted
    return chosen


@compiled
def _from_range(
    slates: IntArray, b: int, s: int, first: int, stop: int, items: IntArray, exclude: IntArray, draws: FloatArray
) -> int:
    """An item of ``items[first:stop]`` that may be shown, each as likely; -1 if there is none."""
    num = stop - first
    if num <= 0:
        return -1
    for attempt in range(TRIES):
        item = int(items[first + int(draws[b, s, 3 + attempt] * num)])
        if may_show(slates, b, s, item, exclude):
            return item
    begin = int(draws[b, s, 2] * num)
    for offset in range(num):
        item = int(items[first + (begin + offset) % num])
        if may_show(slates, b, s, item, exclude):
            return item
    return -1


@compiled
def _trending(slates: IntArray, b: int, s: int, live: Any, exclude: IntArray, draws: FloatArray) -> int:
    for attempt in range(TRIES):
        place = np.searchsorted(live.popularity, draws[b, s, 3 + attempt])
        item = int(live.item[min(place, len(live.item) - 1)])
        if may_show(slates, b, s, item, exclude):
            return item
    return -1


@compiled
def _fill(
    people: Any, user: IntArray, slates: IntArray, cumulated: FloatArray, live: Any, exclude: IntArray,
    draws: FloatArray,
) -> None:  # fmt: skip
    num_live = len(live.item)
    for b in range(len(user)):
        for s in range(slates.shape[1]):
            item, draw = -1, draws[b, s, 0]
            if draw < cumulated[OWN_CHANNEL]:
                m = _own_interest(people, user[b], draws[b, s, 1])
                if m >= 0:
                    item = _from_range(slates, b, s, live.start[m], live.start[m + 1], live.item, exclude, draws)
            if item < 0 and draw < cumulated[TRENDING_CHANNEL]:
                item = _trending(slates, b, s, live, exclude, draws)
            if item < 0:
                item = _from_range(slates, b, s, 0, num_live, live.item, exclude, draws)
            # Everything has been seen: something is shown once more.
            slates[b, s] = item if item >= 0 else live.item[int(draws[b, s, 2] * num_live)]
