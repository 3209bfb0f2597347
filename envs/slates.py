"""Candidate sets and the slates that actions make of them. Users are a batch axis."""

import numpy as np

from sim.arrays import IntArray, repeats
from sim.errors import InvalidInput
from sim.random import RandomStream


def draw_candidates(
    stream: RandomStream, user: IntArray, live: IntArray, exclude: IntArray, num_candidates: int
) -> IntArray:
    """Draw candidates for each user, uniformly without replacement from what they may be shown.

    Items are drawn with replacement and rejected where they stood before or are excluded, so the
    cost is users x candidates, not users x catalog.

    Args:
        stream: the randomness of this request; a user's candidates depend on that user's row alone.
        user: (B,) int64.
        live: (L,) int64, distinct, the items that can be shown today.
        exclude: (B, X) int64 items that the user must not get, -1 pads.
        num_candidates: C.

    Returns:
        (B, C) int64, distinct in a row.

    Raises:
        InvalidInput: some user may have fewer than C items left, L - X < C.
    """
    spare = len(live) - exclude.shape[1]
    if num_candidates > spare:
        raise InvalidInput(
            "num_candidates", num_candidates, f"must be at most {spare}, what today's live items less those seen leave"
        )
    drawn = exclude
    fresh = np.zeros((len(user), 0), bool)
    rounds = 0
    while (fresh.sum(axis=1) < num_candidates).any():
        # Everybody draws another round; who has enough already keeps their first C, so nobody's
        # candidates depend on others' draws.
        place = (stream.at(rounds).uniform(user, num_candidates) * len(live)).astype(np.int64)
        drawn = np.concatenate([drawn, live[place]], axis=1)
        fresh = ~repeats(drawn)[:, exclude.shape[1] :]
        rounds += 1
    first = np.argsort(~fresh, axis=1, kind="stable")[:, :num_candidates]
    return np.take_along_axis(drawn[:, exclude.shape[1] :], first, axis=1)


def fill_slates(candidates: IntArray, action: IntArray) -> tuple[IntArray, IntArray]:
    """Make slates of the candidates' positions that were chosen.

    A position that stands further left in the slate already is an invalid slot. The k-th invalid
    slot of a slate gets the k-th of the candidates that the action does not name.

    Args:
        candidates: (B, C) int64 items, distinct in a row.
        action: (B, S) integers in [0, C), S <= C.

    Returns:
        (B, S) int64 items, distinct in a row, and (B,) int64 how many slots were invalid.
    """
    again = repeats(action)  # (B, S)
    named = np.zeros(candidates.shape, bool)
    np.put_along_axis(named, action, True, axis=1)
    unnamed = np.argsort(named, axis=1, kind="stable")  # (B, C), positions not named first, in order
    which = np.maximum(again.cumsum(axis=1) - 1, 0)  # (B, S), count of invalid slots further left
    position = np.where(again, np.take_along_axis(unnamed, which, axis=1), action)
    return np.take_along_axis(candidates, position, axis=1), again.sum(axis=1)
