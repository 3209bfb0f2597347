"""Measures of a user's recommendation list. A list has k places; -1 pads are empty places.

Of each task: hits and their ranks (recall, NDCG, MRR), and measures beyond accuracy
(coverage, novelty, serendipity, calibration; Kaminskas and Bridge 2016, "Diversity, serendipity, novelty, and
coverage").
"""

import numpy as np

from experiments.offline.tasks import Task, discounts
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog

TITLES = {
    "recall": "recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "serendipity": "serendipity",
    "novelty": "novelty",
    "calibration": "miscalibration (KL)",
    "coverage": "coverage",
}

SMOOTHING = 0.01
"""Share of the history's distribution mixed into the list's: Steck's alpha."""


def accuracy(lists: IntArray, task: Task) -> dict[str, FloatArray]:
    """Recall, NDCG, reciprocal rank and serendipity, each (V,) float64, of the users who have a target.

    With h_r = 1 if the entry at rank r = 1 .. k is one of the user's T targets,

        recall@k = sum_r h_r / min(k, T),    at best 1 whatever T is,
        NDCG@k = sum_r h_r / log2(r + 1)  /  sum_{r <= min(k, T)} 1 / log2(r + 1)   (Jarvelin and Kekalainen 2002),
        MRR@k = mean of 1 / (rank of the first hit), 0 without one                  (Voorhees 1999),
        serendipity@k = sum_r h_r s_r / k,   s_r = 1 if the user never consumed from the item's cluster before

    (relevant and not to be expected, mean over the list: Kaminskas and Bridge 2016; its reading by topic cluster is
    that of Chen et al. 2021, "Values of user exploration in recommender systems"). ``lists`` are those of all U
    users, (U, k), distinct in a row but for pads.
    """
    length = lists.shape[1]
    hits, discount = task.hits(lists), discounts(length)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(task.num_targets, length)]
    surprising = hits & _unseen(lists, task)
    users = task.users
    with np.errstate(divide="ignore", invalid="ignore"):  # users without a target are not among the returned
        measures = {
            "recall": hits.sum(axis=1) / np.minimum(task.num_targets, length),
            "ndcg": (hits @ discount) / ideal,
            "mrr": (hits / np.arange(1, length + 1)).max(axis=1),
            "serendipity": surprising.mean(axis=1),
        }
    return {name: values[users] for name, values in measures.items()}


def _unseen(lists: IntArray, task: Task) -> IntArray:
    keys = np.arange(len(lists))[:, None] * task.size + lists
    return np.asarray(np.isin(keys, (task.row * task.size + task.target)[task.unseen]))


def chance(task: Task, length: int) -> dict[str, FloatArray]:
    """What a list of ``length`` distinct entries drawn at random from the user's candidates is expected to have.

    With C candidates, T targets among them and K = min(k, C) places filled, each place is a hit with probability
    T / C, so E[recall] = K (T / C) / min(k, T), E[DCG] = (T / C) sum_{r <= K} 1 / log2(r + 1),
    E[serendipity] = (K / k) T' / C with T' unseen targets; and the first hit is at rank r with probability

        T / (C - r + 1)  prod_{j < r} (C - j + 1 - T) / (C - j + 1).

    Returns:
        Each (V,) float64, of ``task.users``.
    """
    users = task.users
    num, targets = task.num_candidates[users][:, None], task.num_targets[users][:, None]  # (V, 1)
    unseen = np.bincount(task.row[task.unseen], minlength=len(task.num_candidates))[users][:, None]
    rank = np.arange(1, length + 1)
    filled = rank <= num  # (V, k)
    left = np.maximum(num - rank + 1, 1)  # candidates when rank r is drawn
    missed = np.where(filled, np.maximum(left - targets, 0) / left, 1.0)
    before = np.cumprod(np.concatenate([np.ones_like(missed[:, :1]), missed[:, :-1]], axis=1), axis=1)
    share = filled * (targets / num)
    best = np.minimum(targets, length)[:, 0]
    ideal = np.concatenate([[0.0], np.cumsum(discounts(length))])[best]
    return {
        "recall": share.sum(axis=1) / best,
        "ndcg": (share @ discounts(length)) / ideal,
        "mrr": (before * np.minimum(targets / left, 1.0) * filled / rank).sum(axis=1),
        "serendipity": (filled * (unseen / num)).sum(axis=1) / length,
    }


def novelty(lists: IntArray, popularity: FloatArray) -> FloatArray:
    """Mean self-information of users' lists (U, k), -1 pads, in bits: (U,) float64, NaN where a list is empty.

        novelty = mean over entries a of  -log2 p(a),   p(a) = (users who consumed a before + 1) / (users + 1)

    (Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems"); the ones keep what
    nobody consumed finite. ``popularity`` is (S,) p.
    """
    given = lists >= 0
    bits = np.where(given, -np.log2(popularity[np.maximum(lists, 0)]), 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(bits.sum(axis=1) / given.sum(axis=1))


def popularity_of(log: InteractionLog, column: str, size: int, num_users: int) -> FloatArray:
    """(size,) float64 p of ``novelty``, of the log's column ``item`` or ``cluster``."""
    consumed = log.where(log.consumed)
    pairs = np.unique(consumed.user * size + getattr(consumed, column))
    return np.asarray((np.bincount(pairs % size, minlength=size) + 1) / (num_users + 1))


def miscalibration(lists: IntArray, row: IntArray, cluster: IntArray, num_clusters: int) -> FloatArray:
    """How far the clusters of a user's slate are from those of what pleased the user before; 0 is the same.

        KL(p || q~) = sum_c p(c) log(p(c) / q~(c)),   q~ = (1 - a) q + a p,   a = ``SMOOTHING``

    with p the shares of the clusters in the user's positives and q those in the slate (Steck 2018, "Calibrated
    recommendations", section 3, every positive with weight 1). Whoever explores is miscalibrated by intention.

    Args:
        lists: (U, k) clusters of the slate's items, repeated as they are; -1 pads.
        row, cluster: (R,) the users' positives before: place of the user, and cluster, of ``num_clusters``.

    Returns:
        (U,) float64; users without positives have 0.
    """
    num = len(lists)
    pairs, times = np.unique(row * num_clusters + cluster, return_counts=True)
    of_user = pairs // num_clusters
    share = times / np.bincount(of_user, weights=times, minlength=num)[of_user]
    place, slot = np.nonzero(lists >= 0)
    shown, shown_times = np.unique(place * num_clusters + lists[place, slot], return_counts=True)
    length = np.maximum((lists >= 0).sum(axis=1), 1)
    place_shown = np.minimum(np.searchsorted(shown, pairs), max(len(shown) - 1, 0))
    same = shown[place_shown] == pairs if len(shown) else np.zeros(len(pairs), bool)
    listed = np.where(same, shown_times[place_shown] if len(shown) else 0, 0) / length[of_user]
    mixed = (1 - SMOOTHING) * listed + SMOOTHING * share
    return np.asarray(np.bincount(of_user, weights=share * np.log(share / mixed), minlength=num))
