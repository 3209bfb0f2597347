"""From ranked candidate clusters to a plan of distinct clusters that are new to the user."""

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray, repeats
from sim.errors import InvalidInput
from sim.random import RandomStream


def best_first(score: FloatArray, rng: RandomStream) -> IntArray:
    """Clusters in the order of their scores, equal ones in random order: a cluster's number has no meaning.

    Args:
        score: (..., M), larger is better.
        rng: this call's randomness; all rows have the same order of equal ones.

    Returns:
        (..., M) int32.
    """
    order = rng.generator().permutation(score.shape[-1]).astype(np.int32)
    return np.asarray(order[np.argsort(-score[..., order], axis=-1, kind="stable")])


def choose_novel(
    candidates: IntArray, consumed: BoolArray, num_slots: int, rng: RandomStream, rows: IntArray
) -> IntArray:
    """Fill S slots a user from one ranked list a user.

    Each slot takes the best candidate that the user has neither consumed from nor been given in
    an earlier slot. Slots for which none is left get a random novel cluster, each equally likely;
    and where no novel cluster is left either, a random other one.

    Args:
        candidates: (B, n) int32 level-2 clusters, best first, -1 pads anywhere; repeats allowed.
        consumed: (B, M) bool, which clusters each user has ever consumed from.
        num_slots: S, at most M.
        rng: this call's randomness.
        rows: (B,) the users, so that their draws are theirs alone (``requests.user``).

    Returns:
        (B, S) int32, distinct in a row.

    Raises:
        InvalidInput: there are fewer clusters than slots.
    """
    shared = np.broadcast_to(candidates[:, None, :], (len(candidates), num_slots, candidates.shape[1]))
    return choose_novel_by_slot(shared, consumed, rng, rows)


def choose_novel_by_slot(
    candidates: IntArray,
    consumed: BoolArray,
    rng: RandomStream,
    rows: IntArray,
    scores: FloatArray | None = None,
    pool: int = 1,
) -> IntArray:
    """Like ``choose_novel``, with a ranked list of its own, (B, S, n), for every slot.

    With scores, a slot takes the candidate of the largest score among the first ``pool`` different ones that
    the user has neither consumed from nor been given in an earlier slot; of equal ones the first.

    Args:
        candidates, consumed, rng, rows: see ``choose_novel``.
        scores: (B, S, n) float, finite; the same for repeats of a cluster. None: the first is the best.
        pool: how many candidates compete for a slot; no more than 1 without scores.
    """
    num_rows, num_slots, _ = candidates.shape
    num_clusters = consumed.shape[1]
    if num_slots > num_clusters:
        raise InvalidInput("num_slots", num_slots, f"must be at most the number of clusters, {num_clusters}")
    plan = np.full((num_rows, num_slots), -1, np.int32)
    taken = consumed.copy()  # (B, M)
    every = np.arange(num_rows)
    for slot in range(num_slots if candidates.shape[2] else 0):
        offered = candidates[:, slot]  # (B, n)
        free = (offered >= 0) & ~taken[every[:, None], offered]
        if scores is None:
            place = np.argmax(free, axis=1)
        else:
            competing = free & ~repeats(offered)
            competing &= np.cumsum(competing, axis=1) <= pool
            place = np.argmax(np.where(competing, scores[:, slot], -np.inf), axis=1)
        best = offered[every, place]
        has_free = free.any(axis=1)
        plan[has_free, slot] = best[has_free]
        taken[every[has_free], best[has_free]] = True
    _fill_at_random(plan, consumed, rng, rows)
    return plan


def _fill_at_random(plan: IntArray, consumed: BoolArray, rng: RandomStream, rows: IntArray) -> None:
    """Replace every -1 of ``plan`` (B, S): novel clusters first, then others, never one twice in a row."""
    short = np.flatnonzero((plan < 0).any(axis=1))
    if len(short) == 0:
        return
    num_clusters = consumed.shape[1]
    key = rng.uniform(rows[short], num_clusters) + consumed[short]  # (b, M): novel in (0, 1), others in (1, 2)
    row, slot = np.nonzero(plan[short] >= 0)
    key[row, plan[short][row, slot]] = 3.0  # already in the plan: last
    order = np.argsort(key, axis=1)
    missing = plan[short] < 0  # (b, S)
    nth = np.cumsum(missing, axis=1) - 1  # this is the row's nth missing slot
    plan[short] = np.where(missing, np.take_along_axis(order, np.maximum(nth, 0), axis=1), plan[short])
