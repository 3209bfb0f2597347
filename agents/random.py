"""Uniform random recommendations."""

import numpy as np

from agents.base import Agent, RandomStream, Recommendations, Requests
from agents.slate import check_enough
from sim.arrays import FloatArray, IntArray


class RandomAgent(Agent):
    """Every live item that is not excluded is equally likely in every slot.

    The uniform baseline of every comparison; untrained models collect data with it.
    """

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Draw without replacement; see ``uniform_slate``."""
        return uniform_slate(self.platform.live_items(), requests, rng)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray:
        """See ``Agent.probability``."""
        return uniform_probability(self.platform.live_items(), requests, items, above)


def uniform_slate(live_items: IntArray, requests: Requests, rng: RandomStream) -> Recommendations:
    """Fill each slot uniformly from what is alive, not excluded, and not yet on the slate.

    Only the exclusions are looked at, never a (users, items) array. The propensity of slot s
    (from 0) is 1 / (number available - s).

    Args:
        live_items: (n,) int64, ascending.
        requests: B users.
        rng: this call's randomness.

    Raises:
        InvalidInput: fewer items are available to a user than slots.
    """
    num_slots = requests.num_slots
    taken, num_taken = _excluded_places(live_items, requests.exclude)  # (B, X), (B,)
    available = len(live_items) - num_taken  # (B,)
    check_enough(available, num_slots, requests.user)
    draws = rng.uniform(requests.user, num_slots)
    left = available[:, None] - np.arange(num_slots)  # (B, S) items that each slot can choose from
    rank = np.minimum((draws * left).astype(np.int64), left - 1)  # among those left
    for slot in range(1, num_slots):  # ... among all that are available: step over earlier slots' ranks
        before = np.sort(rank[:, :slot], axis=1)
        rank[:, slot] += (before - np.arange(slot) <= rank[:, slot, None]).sum(axis=1)
    gaps = taken - np.arange(taken.shape[1])  # ascending: available items before each excluded one
    place = np.empty_like(rank)
    for slot in range(num_slots):  # ... and among all live items: step over the excluded ones
        place[:, slot] = rank[:, slot] + (gaps <= rank[:, slot, None]).sum(axis=1)
    return Recommendations(live_items[place], (1 / left).astype(np.float32))


def uniform_probability(live_items: IntArray, requests: Requests, items: IntArray, above: IntArray) -> FloatArray:
    """The propensities with which ``uniform_slate`` puts ``items`` below ``above``.

    Args:
        live_items: (n,) int64, ascending.
        requests: B users.
        items, above: (B, S) int64; see ``Agent.probability``. What stands above must be available.

    Returns:
        (B, S) float64, 1 / (number available - s); 0 for an item that is not available, or stands above.
    """
    _, num_taken = _excluded_places(live_items, requests.exclude)  # (B,)
    left = len(live_items) - num_taken[:, None] - np.arange(items.shape[1])  # (B, S)
    possible = np.isin(items, live_items)
    for slot in range(items.shape[1]):
        barred = np.concatenate([requests.exclude, above[:, :slot]], axis=1)
        possible[:, slot] &= ~(barred == items[:, slot, None]).any(axis=1)
    return np.where(possible, 1 / np.maximum(left, 1), 0.0)


def _excluded_places(live_items: IntArray, exclude: IntArray) -> tuple[IntArray, IntArray]:
    """Where in ``live_items`` each row's distinct live exclusions stand, ascending, and how many they are.

    Returns:
        (B, X) int64, filled up with 2n, which is beyond every item; and (B,) int64.
    """
    beyond = 2 * len(live_items) + exclude.shape[1]
    position = np.full(max(int(live_items.max(initial=-1)), int(exclude.max(initial=-1))) + 2, beyond)
    position[live_items] = np.arange(len(live_items))
    place = np.sort(position[exclude], axis=1)  # the pad -1 reads the last entry: beyond
    repeated = np.zeros(place.shape, bool)
    repeated[:, 1:] = place[:, 1:] == place[:, :-1]
    place = np.sort(np.where(repeated, beyond, place), axis=1)
    return place, (place < len(live_items)).sum(axis=1)
