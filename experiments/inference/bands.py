"""Bands that hold for a whole curve at once: over thresholds of UCI@N, over the days of Figure 5.

A band is simultaneous: with probability 95 % the true curve lies inside it everywhere, so that the
eye may pick any point or the curve's shape. Like all inference over users it is conditional on
the one simulated world.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.inference.users import LEVEL, NO_LIFT, ROUNDING, Lift, Ratio, lift_between, lift_terms
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput

RESAMPLES = 1000
"""Bootstrap resamples of users behind a band over thresholds."""

DRAWS = 10_000
"""Draws of the Gaussian limit behind a band over days."""

MIN_REFERENCE_USERS = 30
"""A threshold that fewer users of the reference arm reach is not shown."""

MIN_ARM_USERS = 5
"""Where fewer users of the other arm reach the threshold, the lift is shown without a band: with a
handful of users, the bootstrap cannot tell how far the logarithm of their share may fall."""


@dataclass(frozen=True)
class Band:
    """Lifts at several thresholds under one simultaneous 95 % band; tuples of equal length."""

    thresholds: tuple[int, ...]
    lift: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


def threshold_band(treated: IntArray, control: IntArray, paired: bool, rng: np.random.Generator) -> Band:
    """Lift in the share of users with at least N, for every N, under one simultaneous band.

    With S(N) the share of users whose count is >= N, the lift is L(N) = S_T(N) / S_C(N) - 1. The
    band is a sup-t band on the log ratio l(N) = log(1 + L(N)) (Montiel Olea and Plagborg-Moller
    2019, "Simultaneous Confidence Bands"): users are resampled, in twins the same users for both
    arms; se(N) is the spread of the resampled l_b(N), and

        c = 95 % quantile over b of max_N |l_b(N) - l(N)| / se(N),   band = exp(l +- c se) - 1.

    Resampling users is a multinomial draw over the distinct (pairs of) counts, which is how it is
    done here: the law is the same and the number of users drops out of the cost.

    Args:
        treated: (U_T,) count of every user of the arm, such as distinct clusters in seven days.
        control: (U_C,) of the reference arm.
        paired: whether row i is the same user in both (twins).
        rng: the resamples' randomness.

    Returns:
        N = 1, 2, … as far as ``MIN_REFERENCE_USERS`` users of the reference arm reach N. Bounds
        are ``None`` where fewer than ``MIN_ARM_USERS`` of the other arm do.
    """
    if paired and len(treated) != len(control):
        raise InvalidInput("len(treated)", len(treated), f"must be {len(control)} to pair")
    top = int(control.max()) if len(control) else 0
    reach = np.array([(control >= n).sum() for n in range(1, top + 1)])
    top = int((reach >= MIN_REFERENCE_USERS).sum()) if len(treated) else 0
    if top == 0:
        return Band((), (), (), ())
    counts = np.minimum(treated, top), np.minimum(control, top)
    over, under = (np.array([(c >= n).sum() for n in range(1, top + 1)]) / len(c) for c in counts)
    lift = over / under - 1.0
    bounded = over * len(treated) >= MIN_ARM_USERS
    bounds = _band(_resampled_log_ratios(counts, top, paired, rng), over, under, bounded)
    identical = np.array([paired and np.array_equal(counts[0] >= n, counts[1] >= n) for n in range(1, top + 1)])
    low, high = (
        tuple(0.0 if same else float(b) if np.isfinite(b) else None for b, same in zip(bound, identical, strict=True))
        for bound in bounds
    )
    return Band(tuple(range(1, top + 1)), tuple(float(x) for x in lift), low, high)


def curve_band(curve: Sequence[tuple[Ratio, Ratio] | None], paired: bool, rng: np.random.Generator) -> list[Lift]:
    """Lifts at the P points of a curve over the same users, under one simultaneous band.

    Each point is a lift L(d) with its delta-method error se(d) (``users.relative_lift``). The band is
    the plug-in sup-t band (Montiel Olea and Plagborg-Moller 2019, "Simultaneous Confidence Bands",
    section 3),

        L(d) +- c se(d),   c = 95 % quantile of max_d |G(d)| / se(d),   G ~ N(0, S),

    with S the covariance of the points over users, all points and both arms together: that of the
    user's difference of the two terms in twins, the sum of the two arms' in split. Drawing G is the
    bootstrap that multiplies each user's influences at all points by one standard normal number, with
    the number of users out of the cost. c lies between 1.96 (one point, or points in step) and what
    P independent points need (2.9 for fourteen).

    Args:
        curve: for each point the two arms' ratios; all points have the same users in the same order.
        paired: whether user i is the same in both arms (twins).
        rng: the randomness of G.

    Returns:
        One a point. p is the point's by itself; bounds are ``None`` where users do not vary.
    """
    lifts = [NO_LIFT if pair is None else lift_between(*pair, paired) for pair in curve]
    use = [d for d, lift in enumerate(lifts) if lift.error]
    if not use:
        return lifts
    terms = [lift_terms(*pair) for pair in (curve[d] for d in use) if pair is not None]
    arms = [np.stack(arm, axis=1) for arm in zip(*terms, strict=True)]  # (U_T, P) and (U_C, P)
    groups = [arms[0] - arms[1]] if paired else arms
    errors = np.array([lifts[d].error for d in use], dtype=np.float64)
    covariance = np.sum([np.atleast_2d(np.cov(group, rowvar=False)) / len(group) for group in groups], axis=0)  # (P, P)
    factor = _sup_t(rng.standard_normal((DRAWS, len(use))) @ _square_root(covariance), errors)
    for d, error in zip(use, errors.tolist(), strict=True):
        relative = lifts[d].relative
        assert relative is not None
        lifts[d] = Lift(relative, relative - factor * error, relative + factor * error, lifts[d].p)
    return lifts


def _square_root(covariance: FloatArray) -> FloatArray:
    """The symmetric root of a (P, P) covariance, which may be singular.

    Unlike eigenvectors by themselves it does not depend on the order in which a machine sums.
    """
    values, vectors = np.linalg.eigh(covariance)
    values[values < ROUNDING * values[-1]] = 0.0
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T)


def _sup_t(deviations: FloatArray, errors: FloatArray) -> float:
    """Critical value of a band: the 95 % quantile over (B, P) deviations of the largest |deviation| / error."""
    return float(np.quantile((np.abs(deviations) / errors).max(axis=1), LEVEL))


def _resampled_log_ratios(
    counts: tuple[IntArray, IntArray], top: int, paired: bool, rng: np.random.Generator
) -> FloatArray:
    """(RESAMPLES, top) log of the ratio of shares in resampled users; ``counts`` lie in 0..top."""
    if paired:
        cells, users = np.unique(counts[0] * np.int64(top + 1) + counts[1], return_counts=True)
        shares = _resampled_shares([cells // (top + 1), cells % (top + 1)], users, top, rng)
    else:
        shares = []
        for count in counts:
            cells, users = np.unique(count, return_counts=True)
            shares += _resampled_shares([cells], users, top, rng)
    return np.asarray(np.log(shares[0]) - np.log(shares[1]))


def _resampled_shares(cells: list[IntArray], users: IntArray, top: int, rng: np.random.Generator) -> list[FloatArray]:
    """Shares of users at or above 1..top in ``RESAMPLES`` resamples.

    Args:
        cells: for each arm, (C,) the count that users of each cell have.
        users: (C,) users in each cell.

    Returns:
        For each arm, (RESAMPLES, top) shares, kept above 0 by half a user.
    """
    n = int(users.sum())
    reaches = [(c[:, None] >= np.arange(1, top + 1)).astype(np.float64) for c in cells]  # (C, top)
    parts: list[list[FloatArray]] = [[] for _ in cells]
    for _ in range(0, RESAMPLES, 100):  # a hundred at a time keeps (resamples, cells) small
        drawn = rng.multinomial(n, users / n, size=100).astype(np.float64)
        for part, reach in zip(parts, reaches, strict=True):
            part.append(np.maximum(drawn @ reach, 0.5) / n)
    return [np.concatenate(part) for part in parts]


def _band(logs: FloatArray, over: FloatArray, under: FloatArray, bounded: BoolArray) -> tuple[FloatArray, FloatArray]:
    """(top,) bounds of the sup-t band on the lift; NaN where ``bounded`` is false or nothing varies."""
    low, high = np.full(len(over), np.nan), np.full(len(over), np.nan)
    spread = logs.std(axis=0, ddof=1)
    use = bounded & (spread > ROUNDING)
    if use.any():
        centre = np.log(over[use] / under[use])
        width = _sup_t(logs[:, use] - centre, spread[use]) * spread[use]
        low[use], high[use] = np.expm1(centre - width), np.expm1(centre + width)
    return low, high
