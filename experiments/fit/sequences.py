"""Statistics that depend on the order of a user's impressions: satiation, discovery, cluster transitions."""

import numpy as np
from scipy.stats import entropy

from experiments.fit.observation import Observation
from experiments.measures.histories import novelty_rates
from sim.arrays import FloatArray, IntArray, dot

RECENT_DAYS = 3
"""Days before a showing over which showings of the same cluster count as recent."""

SUCCESSORS = 5
"""Commonest next clusters of each cluster, as in the certificate's successor overlap."""

_SHOWINGS = 3  # of a cluster in a user's day, from which on it takes part in the satiation ratio


def ratio(above: float, below: float) -> float | None:
    """One over the other, ``None`` over nothing."""
    return above / below if below > 0 else None


def within_slope(group: IntArray, x: FloatArray, y: FloatArray) -> float | None:
    """Least-squares slope of y (R,) on x (R,) within groups (R,), each with a level of its own.

    sum (x - x_g)(y - y_g) / sum (x - x_g)^2, the fixed-effects estimator; ``None`` where x varies in no group.
    """
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    x = x - (np.bincount(place, x) / count)[place]
    y = y - (np.bincount(place, y) / count)[place]
    spread = dot(x, x)
    return dot(x, y) / spread if spread > 1e-12 * max(len(x), 1) else None


def satiation(seen: Observation) -> dict[str, float | None]:
    """The effect of recent showings of a cluster on the next one's positive rate.

    Within a day: over the G user-cluster-days g with at least three showings, f_g whether the first one was positive
    and l_g the positive rate from the third on,

        satiation_ratio = sum_g l_g / sum_g f_g,       1 without satiation.

    First and later showings are of the same user, cluster and day, so that who is shown what cancels. Across days:
    y the feedback to a cluster's first showing of a user's day, x = log(1 + its showings to that user on the three days
    before),

        satiation_carry = slope of y on x within user and cluster / mean y,      0 without satiation.

    Past feedback decides what is shown next, which biases the slope (Nickell 1981, "Biases in dynamic models with
    fixed effects"); a simulated log under a like policy has that bias too. Units: ratio; share of the rate per unit
    of x. After Gao et al. (2023, "CIRS": satisfaction falls with recent exposure to the category); the forms are ours.
    """
    if not seen.has_negatives or not len(seen.log):
        return {}
    log = seen.log
    pair = log.user * seen.num_clusters + log.cluster
    days = seen.num_days + RECENT_DAYS + 1  # so many that no other pair's days count as this one's
    order = np.argsort(pair * days + log.day, kind="stable")
    positive = log.positive[order].astype(np.float64)
    key, start, count = np.unique((pair * days + log.day)[order], return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(key)), count)
    position = np.arange(len(order)) - start[place]
    later = position >= _SHOWINGS - 1
    many = count >= _SHOWINGS
    late = np.bincount(place[later], positive[later], minlength=len(key))[many] / (count[many] - _SHOWINGS + 1)
    first = positive[start]
    recent = recent_counts(key, count)
    slope = within_slope(key // days, np.log1p(recent), first)
    mean = float(first.mean())
    return {
        "satiation_ratio": ratio(float(late.sum()), float(first[many].sum())),
        "satiation_carry": slope / mean if slope is not None and mean > 0 else None,
    }


def recent_counts(key: IntArray, count: IntArray) -> FloatArray:
    """(G,) showings on the ``RECENT_DAYS`` days before each ascending key (G,), of which ``count`` (G,) are its own.

    Consecutive days have consecutive keys.
    """
    before = np.concatenate([[0.0], np.cumsum(count)])
    own = np.arange(len(key))
    return np.asarray(before[own] - before[np.searchsorted(key, key - RECENT_DAYS)])


def discovery(seen: Observation) -> dict[str, float | None]:
    """How fast users meet new clusters, and how these please.

        new_clusters = (user, cluster) pairs with a consumption / visits,
        novel_ratio  = positive rate of novel impressions / of familiar ones.

    Novel: of a cluster that the user had not consumed from since the window began (``agents.novelty.novel_rows``).
    A visit is a user-day with any impression. Units: clusters an active day; ratio. After Wang et al. (2024), who
    measure both; what a policy chooses to show of each is part of them.
    """
    log = seen.log
    if not len(log):
        return {}
    visits = len(np.unique(log.user * seen.num_days + log.day))
    pairs = len(np.unique(log.user[log.consumed] * seen.num_clusters + log.cluster[log.consumed]))
    statistics: dict[str, float | None] = {"new_clusters": pairs / visits}
    if seen.has_negatives:
        rates = novelty_rates(log, np.zeros((seen.num_users, seen.num_clusters), bool))
        novel, familiar = (rate.ratio() for rate in rates)
        if novel is not None and familiar is not None:
            statistics["novel_ratio"] = ratio(novel, familiar)
    return statistics


def transitions(seen: Observation) -> dict[str, float | None]:
    """From one positive impression of a user to their next: a the cluster of the one, b that of the other.

        staying                = share of transitions with a = b,
        transition_information = I(a; b) = H(a) + H(b) - H(a, b)   over the n transitions with a != b, in bits,
                                 plus (K_a + K_b - K_ab - 1) / (2 n ln 2), K the numbers of values that occur,
        top_successors         = share of these n whose b is among the five commonest after a.

    The correction takes the plug-in estimate's first-order bias away (Miller 1955, "Note on the bias of information
    estimates"); ``top_successors`` keeps its own, which is why both logs have as many users.
    """
    log = seen.log.where(seen.log.positive)
    same_user = log.user[1:] == log.user[:-1]
    last, following = log.cluster[:-1][same_user].astype(np.int64), log.cluster[1:][same_user].astype(np.int64)
    if not len(last):
        return {}
    moved = last != following
    statistics: dict[str, float | None] = {"staying": float((~moved).mean())}
    last, following = last[moved], following[moved]
    if len(last):
        pair, count = np.unique(last * seen.num_clusters + following, return_counts=True)
        statistics["transition_information"] = information(last, following, count)
        order = np.lexsort((-count, pair // seen.num_clusters))
        first = np.searchsorted(pair // seen.num_clusters, pair // seen.num_clusters)
        rank = np.arange(len(pair)) - first[order]
        statistics["top_successors"] = float(count[order][rank < SUCCESSORS].sum() / len(last))
    return statistics


def information(one: IntArray, other: IntArray, joint: IntArray) -> float:
    """Mutual information of two columns (n,) in bits, Miller's correction included; ``joint`` counts their pairs."""
    counts = [np.unique(column, return_counts=True)[1] for column in (one, other)]
    plug_in = sum(float(entropy(each, base=2)) for each in counts) - float(entropy(joint, base=2))
    excess = len(counts[0]) + len(counts[1]) - len(joint) - 1
    return plug_in + excess / (2 * len(one) * float(np.log(2)))
