"""The one place where scores become slates, with exact propensities.

A slot explores with probability ``exploration``: it draws from softmax(score / temperature) over
the candidates that are left. Otherwise it takes the best one left. ``exploration=1`` is Boltzmann
sampling without replacement (Plackett 1975; Luce 1959), ``exploration=0`` a plain ranking.
"""

from collections.abc import Callable

import numpy as np

from agents.base import Recommendations
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.random import RandomStream

POOL = 100
"""Best candidates among which slots are drawn; the softmax gives the others no mass."""

_CHUNK_CELLS = 8_000_000  # float32 scores held at a time: 32 MB


def check_sampling(temperature: float, exploration: float) -> None:
    """Raise InvalidInput unless ``temperature`` is positive and ``exploration`` a probability."""
    if not (temperature > 0 and np.isfinite(temperature)):
        raise InvalidInput("temperature", temperature, "must be a positive number")
    if not 0 <= exploration <= 1:
        raise InvalidInput("exploration", exploration, "must be a probability, in [0, 1]")


def excluded_positions(items: IntArray, exclude: IntArray) -> BoolArray:
    """Which of some items each row excludes.

    Args:
        items: (n,) int64, distinct.
        exclude: (B, X) int64, -1 pads; items that are none of ``items`` are ignored.

    Returns:
        (B, n) bool.
    """
    excluded = np.zeros((len(exclude), len(items)), bool)
    if len(items) == 0 or exclude.shape[1] == 0:
        return excluded
    position = np.full(max(int(items.max()), int(exclude.max(initial=-1))) + 2, -1)
    position[items] = np.arange(len(items))
    place = position[exclude]  # (B, X); the pad -1 reads the last entry, which is -1
    row, column = np.nonzero(place >= 0)
    excluded[row, place[row, column]] = True
    return excluded


def top_candidates(
    scores: FloatArray, live_items: IntArray, exclude: IntArray, pool: int = POOL
) -> tuple[FloatArray, IntArray]:
    """Pick each user's best items.

    Args:
        scores: (B, n) float32, of ``live_items``; excluded entries are overwritten with -inf.
        live_items: (n,) int64, ascending.
        exclude: (B, X) int64, items to leave out, -1 pads.
        pool: how many to keep, C.

    Returns:
        Scores (B, C) and items (B, C) int64, best first, ties by item id; C = min(pool, n). Rows
        with fewer items end in -inf and -1.

    Raises:
        InvalidInput: a score is NaN.
    """
    num_rows, num_items = scores.shape
    pool = min(pool, num_items)
    scores[excluded_positions(live_items, exclude)] = -np.inf
    bound = np.partition(scores, num_items - pool, axis=1)[:, num_items - pool, None]  # (B, 1) worst in the pool
    kept = scores >= bound  # (B, n)
    surplus = kept.sum(axis=1) - pool  # ties at the bound
    if surplus.min(initial=0) < 0:
        raise InvalidInput("scores", float("nan"), "must not be NaN: the model has diverged; lower its learning rate")
    for row in np.flatnonzero(surplus):  # rare once scores are continuous
        ties = np.flatnonzero(scores[row] == bound[row])
        kept[row, ties[-surplus[row] :]] = False  # the largest ids go
    place = np.nonzero(kept)[1].reshape(num_rows, pool)  # ascending in a row, hence ties by item id below
    best = np.take_along_axis(scores, place, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    items = live_items[np.take_along_axis(place, order, axis=1)]
    return best, np.where(best > -np.inf, items, -1)


def top_in_chunks(
    scores_of: Callable[[slice], FloatArray], live_items: IntArray, exclude: IntArray, pool: int = POOL
) -> tuple[FloatArray, IntArray]:
    """``top_candidates`` without ever holding the scores of more than 256 users.

    Args:
        scores_of: makes the (b, n) float32 scores of a slice of the B users; they are overwritten.
        live_items, exclude, pool: see ``top_candidates``.
    """
    size = max(1, min(256, _CHUNK_CELLS // max(len(live_items), 1)))
    chunks = [slice(start, min(start + size, len(exclude))) for start in range(0, len(exclude), size)]
    pools = [top_candidates(scores_of(chunk), live_items, exclude[chunk], pool) for chunk in chunks]
    if not pools:
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.int64)
    return np.concatenate([scores for scores, _ in pools]), np.concatenate([items for _, items in pools])


def sample_slate(
    scores: FloatArray,
    candidates: IntArray,
    num_slots: int,
    temperature: float,
    exploration: float,
    user: IntArray,
    rng: RandomStream,
) -> Recommendations:
    """Fill S slots a user, one after the other.

    The propensity of the item chosen for a slot, given the slots before it, is
    (1 - exploration) * 1[it is the best one left] + exploration * softmax(score / temperature) over
    those left. Ties go to the earlier candidate.

    Args:
        scores: (B, C) float.
        candidates: (B, C) int64, distinct in a row, -1 pads anywhere.
        num_slots: S.
        temperature: of the softmax, in units of the scores.
        exploration: probability that a slot explores.
        user: (B,), so that each user's draws are theirs alone.
        rng: this call's randomness.

    Raises:
        InvalidInput: a score is NaN, or a user has fewer than S candidates.
    """
    check_sampling(temperature, exploration)
    logit = np.where(candidates >= 0, np.asarray(scores, np.float64) / temperature, -np.inf)  # (B, C)
    _check_candidates(logit, num_slots, user)
    rows = np.arange(len(candidates))
    draws = rng.uniform(user, 2 * num_slots)  # (B, 2S)
    items = np.empty((len(rows), num_slots), np.int64)
    propensity = np.empty((len(rows), num_slots), np.float32)
    for slot in range(num_slots if len(rows) else 0):
        greedy = logit.argmax(axis=1)  # (B,)
        weight = np.exp(logit - logit[rows, greedy, None])  # 0 where taken or padded
        cumulative = np.cumsum(weight, axis=1)
        total = cumulative[:, -1]
        # Rounding must not carry the threshold up to the total, which no prefix exceeds.
        threshold = np.minimum(draws[:, num_slots + slot] * total, np.nextafter(total, 0))
        sampled = np.argmax(cumulative > threshold[:, None], axis=1)
        chosen = np.where(draws[:, slot] < exploration, sampled, greedy)
        items[:, slot] = candidates[rows, chosen]
        softmax = weight[rows, chosen] / total
        propensity[:, slot] = np.minimum((1 - exploration) * (chosen == greedy) + exploration * softmax, 1)
        logit[rows, chosen] = -np.inf
    return Recommendations(items, propensity)


def slate_probability(
    scores: FloatArray,
    candidates: IntArray,
    items: IntArray,
    above: IntArray,
    temperature: float,
    exploration: float,
) -> FloatArray:
    """The propensities that ``sample_slate`` gives where it puts ``items`` below ``above``.

    Args:
        scores, candidates, temperature, exploration: see ``sample_slate``.
        items: (B, S) int64, asked about in their slots.
        above: (B, S) int64, what the slots before hold; items that are no candidates take nothing away.

    Returns:
        (B, S) float64; 0 for an item that is no candidate, or stands above.

    Raises:
        InvalidInput: a score is NaN.
    """
    check_sampling(temperature, exploration)
    logit = np.where(candidates >= 0, np.asarray(scores, np.float64) / temperature, -np.inf)  # (B, C)
    _check_candidates(logit, 0, np.arange(len(logit)))
    rows = np.arange(len(candidates))
    probability = np.zeros(items.shape)
    for slot in range(items.shape[1] if logit.size else 0):
        greedy = logit.argmax(axis=1)  # (B,)
        best = logit[rows, greedy]
        some = best > -np.inf  # a row all of whose candidates stand above has nothing to choose from
        weight = np.exp(logit - np.where(some, best, 0)[:, None])
        asked = (candidates == items[:, slot, None]) & (logit > -np.inf)
        place = asked.argmax(axis=1)
        softmax = weight[rows, place] / np.where(some, weight.sum(axis=1), 1)
        chosen = (1 - exploration) * (place == greedy) + exploration * softmax
        probability[:, slot] = np.where(asked.any(axis=1), np.minimum(chosen, 1), 0)
        logit[(candidates == above[:, slot, None]) & (candidates >= 0)] = -np.inf
    return probability


def joined(slates: list[Recommendations]) -> Recommendations:
    """Slates of several batches in one; plans are left out."""
    propensities = [slate.propensity for slate in slates if slate.propensity is not None]
    return Recommendations(
        np.concatenate([slate.items for slate in slates]), np.concatenate(propensities) if propensities else None
    )


def _check_candidates(logit: FloatArray, num_slots: int, user: IntArray) -> None:
    if np.isnan(logit).any():
        raise InvalidInput("scores", float("nan"), "must not be NaN: the model has diverged; lower its learning rate")
    check_enough((logit > -np.inf).sum(axis=1), num_slots, user)


def check_enough(available: IntArray, num_slots: int, user: IntArray) -> None:
    """Raise InvalidInput if one of users (B,) has fewer items ``available`` (B,) than slots."""
    if available.min(initial=num_slots) < num_slots:
        poorest = int(available.argmin())
        raise InvalidInput(
            "candidates",
            int(available[poorest]),
            f"user {int(user[poorest])} needs {num_slots} items that are alive and not excluded; "
            "use a larger catalog, a shorter memory of impressions, or fewer slots",
        )
