"""Variety and inequality: of what a user sees, between users, and over a catalogue."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import gammaln

from experiments.inference.users import UserSums
from sim.arrays import FloatArray, IntArray, dot

RAREFIED_WATCHES = 20
"""Watches to which users are rarefied: variety without the part that volume brings by itself."""

JACCARD_PAIRS = 2000
"""Pairs of users behind the mean pairwise overlap."""


def rarefied(place: IntArray, watches: IntArray, num_users: int, draws: int = RAREFIED_WATCHES) -> UserSums:
    """Expected distinct clusters among ``draws`` watches drawn without replacement.

    For a user with n watches, n_k of them on cluster k (Hurlbert 1971, "The nonconcept of species
    diversity"), E = sum_k [1 - C(n - n_k, draws) / C(n, draws)].

    Args:
        place, watches: (P,) as ``experiments.measures.metrics.trailing_watches`` returns them.
        num_users: U.

    Returns:
        (U,) sums; users with fewer than ``draws`` watches are left out by a zero denominator.
    """
    total = np.bincount(place, watches, minlength=num_users)
    n, rest = total[place], total[place] - watches
    possible = rest >= draws  # otherwise the cluster cannot be missed
    log_missed = np.full(len(place), -np.inf)
    n, rest = n[possible], rest[possible]
    log_missed[possible] = gammaln(rest + 1) - gammaln(rest - draws + 1) - gammaln(n + 1) + gammaln(n - draws + 1)
    expected = np.bincount(place, -np.expm1(log_missed), minlength=num_users)
    enough = total >= draws
    return UserSums(np.where(enough, expected, 0.0), enough.astype(np.float64))


def gini(counts: npt.NDArray[np.generic]) -> float | None:
    """Gini index of (n,) non-negative counts, sum_i (2i - n - 1) x_(i) / (n sum x), x ascending."""
    ascending = np.sort(np.asarray(counts, dtype=np.float64))
    n, total = len(ascending), float(ascending.sum())
    return dot(2.0 * np.arange(1, n + 1) - n - 1, ascending) / (n * total) if total > 0 else None


def mean_jaccard(user: IntArray, thing: IntArray, users: IntArray, draws: FloatArray) -> float | None:
    """Mean Jaccard index |A & B| / |A | B| of what two users have, over pairs of users who have anything at all.

    Args:
        user, thing: (R,) who has what, more than once or not; users outside ``users`` are passed over.
        users: (U,) ascending, to draw the pairs from.
        draws: (P, 2) uniform numbers that pick the pairs.
    """
    num = len(users)
    if num < 2:
        return None
    one = (draws[:, 0] * num).astype(np.int64)
    other = (one + 1 + (draws[:, 1] * (num - 1)).astype(np.int64)) % num  # never the same user
    place = np.searchsorted(users, user)
    rows = users[np.minimum(place, num - 1)] == user
    shape = (num, int(thing.max(initial=0)) + 1)
    has = csr_array((np.ones(int(rows.sum()), bool), (place[rows], thing[rows])), shape=shape)
    has.sum_duplicates()
    size = np.diff(has.indptr)  # (U,) |A|
    common = has[one].multiply(has[other]).sum(axis=1)
    union = size[one] + size[other] - common
    some = union > 0
    return float((common[some] / union[some]).mean()) if some.any() else None
