"""Inference over users: ratio metrics, lifts between arms, and bands over a range of thresholds.

The user is the unit of diversion and therefore of inference: rows of one user are dependent, users
are taken to be independent draws. Every interval is conditional on the one simulated world in
which the users live; it says nothing about how results vary from world to world.

Whatever cannot be estimated is ``None``: a ratio over nothing, an interval from one user or from
users who do not vary. NaN and infinity never leave this module.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput

LEVEL = 0.95
"""Coverage of every interval and band."""

RESAMPLES = 1000
"""Bootstrap resamples of users behind a band."""

MIN_REFERENCE_USERS = 30
"""A threshold that fewer users of the reference arm reach is not shown."""

MIN_ARM_USERS = 5
"""Where fewer users of the other arm reach the threshold, the lift is shown without a band: with a
handful of users, the bootstrap cannot tell how far the logarithm of their share may fall."""

_Z = float(ndtri(0.5 + LEVEL / 2))
_ROUNDING = 1e-12  # a spread below this share of the data's size is floating-point noise, not variance


@dataclass(frozen=True)
class UserSums:
    """A ratio metric before division: sum of numerators over sum of denominators.

    Attributes:
        numerator: (U,) one a user; kept as float64.
        denominator: (U,) non-negative, kept as float64; a user without rows has 0 in both.
    """

    numerator: npt.NDArray[Any]
    denominator: npt.NDArray[Any]

    def __post_init__(self) -> None:
        for name in ("numerator", "denominator"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.numerator.shape != self.denominator.shape:
            raise InvalidInput("numerator.shape", self.numerator.shape, f"must be {self.denominator.shape}")
        if not (np.isfinite(self.numerator).all() and np.isfinite(self.denominator).all()):
            raise InvalidInput("sums", "NaN or infinity", "must be finite")
        if (self.denominator < 0).any():
            raise InvalidInput("denominator", float(self.denominator.min()), "must not be negative")
        if (self.numerator[self.denominator == 0] != 0).any():
            raise InvalidInput("numerator", "non-zero", "must be 0 for users whose denominator is 0")

    def ratio(self) -> float | None:
        """Sum over sum, or ``None`` where there is nothing to divide by."""
        below = float(self.denominator.sum())
        return float(self.numerator.sum()) / below if below > 0 else None

    def only(self, users: BoolArray) -> "UserSums":
        """The users that a (U,) mask selects."""
        return UserSums(self.numerator[users], self.denominator[users])


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; ``n`` counts the users with a non-zero denominator."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Lift:
    """``treated / control - 1`` with its 95 % interval and two-sided p-value against 0."""

    relative: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Band:
    """Lifts at several thresholds under one simultaneous 95 % band; tuples of equal length."""

    thresholds: tuple[int, ...]
    lift: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


def ratio_interval(sums: UserSums) -> Interval:
    """Estimate a ratio metric with a delta-method interval.

    With user sums N and D, R = mean(N) / mean(D) and n users,

        var(R) = (s_N^2 - 2 R s_ND + R^2 s_D^2) / (n mean(D)^2)

    (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", section 3). The
    bracket is the sample variance of the residuals N - R D, which is how it is computed here:
    the three terms apart would cancel badly. Users with D = 0 add nothing and are left out of n.
    """
    sums = sums.only(sums.denominator > 0)
    ratio = sums.ratio()
    n = len(sums.numerator)
    if ratio is None:
        return Interval(None, None, None, 0)
    error = _standard_error(_influence(sums, ratio), float(np.abs(sums.numerator).max() / sums.denominator.mean()))
    if error is None:
        return Interval(ratio, None, None, n)
    return Interval(ratio, ratio - _Z * error, ratio + _Z * error, n)


def relative_lift(treated: UserSums, control: UserSums, paired: bool) -> Lift:
    """Relative difference of two ratio metrics, L = R_T / R_C - 1.

    The delta method replaces each ratio by its mean of user-level influences,
    psi_i = (N_i - R D_i) / mean(D), and L by

        L + mean(psi_T / R_C) - mean(psi_C R_T / R_C^2).

    Split arms have other users each, so the variances of the two means add. Twin arms have the
    same users under the same luck, so the variance is that of the user's difference of the two
    terms, which is smaller by their covariance. p is from the normal distribution of L / se(L),
    so that p < 0.05 exactly where the interval leaves 0 out.

    Args:
        treated: (U_T,) user sums of the arm.
        control: (U_C,) user sums of what it is compared with.
        paired: whether row i is the same user in both (twins).

    Returns:
        All ``None`` where the control's ratio is 0 or undefined; no interval where users do not
        vary. Identical paired arms differ by exactly 0, interval and all.
    """
    if paired:
        if len(treated.numerator) != len(control.numerator):
            raise InvalidInput("len(treated)", len(treated.numerator), f"must be {len(control.numerator)} to pair")
        some = (treated.denominator > 0) | (control.denominator > 0)
        treated, control = treated.only(some), control.only(some)
    else:
        treated, control = treated.only(treated.denominator > 0), control.only(control.denominator > 0)
    over, under = treated.ratio(), control.ratio()
    if over is None or under is None or under == 0:
        return Lift(None, None, None, None)
    relative = over / under - 1.0
    of_treated = _influence(treated, over) / under
    of_control = _influence(control, under) * (over / under**2)
    sizes = [float(np.abs(s.numerator).max() / s.denominator.mean() / abs(under)) for s in (treated, control)]
    if paired:
        if np.array_equal(treated.numerator, control.numerator) and np.array_equal(
            treated.denominator, control.denominator
        ):
            return Lift(0.0, 0.0, 0.0, 1.0)
        error = _standard_error(of_treated - of_control, max(sizes))
    else:
        errors = [_standard_error(of_treated, sizes[0]), _standard_error(of_control, sizes[1])]
        error = None if errors[0] is None or errors[1] is None else float(np.hypot(errors[0], errors[1]))
    if error is None:
        return Lift(relative, None, None, None)
    p = 2.0 * float(ndtr(-abs(relative) / error))
    return Lift(relative, relative - _Z * error, relative + _Z * error, p)


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


def _influence(sums: UserSums, ratio: float) -> FloatArray:
    """(U,) first-order effect of each user on the ratio, up to 1/n."""
    return np.asarray((sums.numerator - ratio * sums.denominator) / sums.denominator.mean())


def _standard_error(influence: FloatArray, size: float) -> float | None:
    """Standard error of the mean, or ``None`` where there are too few users or they do not vary."""
    n = len(influence)
    if n < 2:
        return None
    spread = float(influence.std(ddof=1))
    return spread / float(np.sqrt(n)) if spread > _ROUNDING * size else None


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
    use = bounded & (spread > _ROUNDING)
    if use.any():
        centre = np.log(over[use] / under[use])
        farthest = (np.abs(logs[:, use] - centre) / spread[use]).max(axis=1)
        width = np.quantile(farthest, LEVEL) * spread[use]
        low[use], high[use] = np.expm1(centre - width), np.expm1(centre + width)
    return low, high
