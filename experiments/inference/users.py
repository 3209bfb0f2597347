"""Inference over users: ratio metrics and lifts between arms.

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
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit  # not scipy.stats.t: the same bits, fifty times slower

from experiments.results_schema import AdjustedLift, Estimate
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput

LEVEL = 0.95
"""Coverage of every interval and band."""

ROUNDING = 1e-12
"""A spread below this share of the data's size is floating-point noise, not variance."""

MANY_USERS = 200
"""Degrees of freedom from which the normal quantile is used; Student's t would give intervals .6 % wider."""

_Z = float(ndtri(0.5 + LEVEL / 2))


def reach_of(freedom: float) -> float:
    """Standard errors to each side of a ``LEVEL`` interval: Student's t, with ``MANY_USERS`` the normal quantile."""
    return _Z if freedom >= MANY_USERS else float(stdtrit(freedom, 0.5 + LEVEL / 2))


def interval_of(value: float, error: float, freedom: float) -> tuple[float, float]:
    """Low and high end of the ``LEVEL`` interval around an estimate with this standard error; see ``reach_of``."""
    reach = reach_of(freedom) * error
    return value - reach, value + reach


def two_sided(value: float, error: float, freedom: float) -> float:
    """Two-sided p-value of such an estimate against 0: below 0.05 exactly where the interval leaves 0 out."""
    away = abs(value) / error
    return 2.0 * float(ndtr(-away) if freedom >= MANY_USERS else stdtr(freedom, -away))


def welch(one: float, other: float, num_one: int, num_other: int) -> float:
    """Degrees of freedom of the difference of two means with standard errors of their own (Welch 1947)."""
    return (one**2 + other**2) ** 2 / (one**4 / (num_one - 1) + other**4 / (num_other - 1))


def error_behind(low: float | None, high: float | None) -> float | None:
    """An interval's half width in normal quantiles, or ``None`` without one.

    That is the standard error, and with few users as much more as their interval is wider.
    """
    return None if low is None or high is None else (high - low) / (2.0 * _Z)


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

    def only(self, users: BoolArray | IntArray) -> "UserSums":
        """The users that a (U,) mask or an index array selects."""
        return UserSums(self.numerator[users], self.denominator[users])


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; ``n`` counts the users with a non-zero denominator."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def row(self) -> Estimate:
        """The same as results have it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True)
class Lift:
    """``treated / control - 1`` with its 95 % interval and two-sided p-value against 0."""

    relative: float | None
    low: float | None
    high: float | None
    p: float | None

    def row(self) -> AdjustedLift:
        """The same as results have it."""
        return {"relative": self.relative, "low": self.low, "high": self.high, "p": self.p}

    @property
    def error(self) -> float | None:
        """See ``error_behind``."""
        return error_behind(self.low, self.high)


@dataclass(frozen=True)
class Ratio:
    """One arm's ratio metric and its influence function, a value a user.

    Attributes:
        value: R, the ratio.
        influence: (U,) psi_i = (N_i - R D_i) / mean(D); their mean is 0, and the variance of R is
            that of the mean of U such draws.
        size: scale of the users' data in the ratio's unit, to tell variance from rounding.
    """

    value: float
    influence: FloatArray
    size: float


NO_LIFT = Lift(None, None, None, None)


def ratio_interval(sums: UserSums) -> Interval:
    """Estimate a ratio metric with a delta-method interval.

    With user sums N and D, R = mean(N) / mean(D) and n users,

        var(R) = (s_N^2 - 2 R s_ND + R^2 s_D^2) / (n mean(D)^2)

    (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", section 3). The
    bracket is the sample variance of the residuals N - R D, which is how it is computed here:
    the three terms apart would cancel badly. Users with D = 0 add nothing and are left out of n.
    """
    sums = sums.only(sums.denominator > 0)
    n = len(sums.numerator)
    ratio = ratio_of(sums)
    if ratio is None:
        return Interval(None, None, None, 0)
    error = standard_error(ratio.influence, ratio.size)
    if error is None:
        return Interval(ratio.value, None, None, n)
    return Interval(ratio.value, *interval_of(ratio.value, error, n - 1), n)


def median_interval(values: FloatArray) -> Interval:
    """Median of (n,) users' values with an interval whose ends are two of the values.

    With B ~ Bin(n, 1/2), the interval [x_(k), x_(n + 1 - k)] with the largest k that has 2 P(B < k) <= .05 covers the
    median of any distribution with at least 95 % (Thompson 1936, "On confidence ranges for the median"). There is none
    with fewer than six users.
    """
    n = len(values)
    if not n:
        return Interval(None, None, None, 0)
    ascending = np.sort(np.asarray(values, dtype=np.float64))
    below = max(0, int(n / 2 - 2 * np.sqrt(n)))  # surely left out: four standard deviations of B
    k = below + int((bdtr(np.arange(below, n // 2 + 1), n, 0.5) <= (1 - LEVEL) / 2).sum())
    low, high = (float(ascending[k - 1]), float(ascending[n - k])) if k else (None, None)
    return Interval(float(np.median(ascending)), low, high, n)


def ratio_of(sums: UserSums) -> Ratio | None:
    """The ratio with every given user's influence, or ``None`` where there is nothing to divide by.

    Users with D = 0 have influence 0.
    """
    value = sums.ratio()
    if value is None:
        return None
    below = float(sums.denominator.mean())
    influence = np.asarray((sums.numerator - value * sums.denominator) / below)
    return Ratio(value, influence, float(np.abs(sums.numerator).max() / below))


def relative_lift(treated: UserSums, control: UserSums, paired: bool) -> Lift:
    """Relative difference of two ratio metrics, L = R_T / R_C - 1.

    The delta method replaces each ratio by its mean of user-level influences,
    psi_i = (N_i - R D_i) / mean(D), and L by

        L + mean(psi_T / R_C) - mean(psi_C R_T / R_C^2).

    Split arms have other users each, so the variances of the two means add. Twin arms have the
    same users and common random numbers, so the variance is that of the user's difference of the two
    terms, which is smaller by their covariance. p is from the distribution of L / se(L) that the interval
    is from, so that p < 0.05 exactly where the interval leaves 0 out: normal, with fewer than
    ``MANY_USERS`` degrees of freedom Student's t (of split arms Welch's).

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
    over, under = ratio_of(treated), ratio_of(control)
    return NO_LIFT if over is None or under is None else lift_between(over, under, paired)


def lift_between(treated: Ratio, control: Ratio, paired: bool) -> Lift:
    """The lift of ``relative_lift``, from ratios whose influences are known (or adjusted, ``covariates``)."""
    if control.value == 0:
        return NO_LIFT
    relative = treated.value / control.value - 1.0
    of_treated, of_control = lift_terms(treated, control)
    sizes = treated.size / abs(control.value), control.size / abs(control.value)
    if paired:
        if treated.value == control.value and np.array_equal(treated.influence, control.influence):
            return Lift(0.0, 0.0, 0.0, 1.0)
        error = standard_error(of_treated - of_control, max(sizes))
        freedom = float(len(of_treated) - 1)
    else:
        errors = standard_error(of_treated, sizes[0]), standard_error(of_control, sizes[1])
        if errors[0] is None or errors[1] is None:
            return Lift(relative, None, None, None)
        error = float(np.hypot(errors[0], errors[1]))
        freedom = welch(errors[0], errors[1], len(of_treated), len(of_control))
    if error is None:
        return Lift(relative, None, None, None)
    return Lift(relative, *interval_of(relative, error, freedom), two_sided(relative, error, freedom))


def lift_terms(treated: Ratio, control: Ratio) -> tuple[FloatArray, FloatArray]:
    """What users' chance adds to L = R_T / R_C - 1 is the mean of the first less the mean of the second.

    Returns:
        (U_T,) psi_T / R_C and (U_C,) psi_C R_T / R_C^2.
    """
    scale = treated.value / control.value**2
    return np.asarray(treated.influence / control.value), np.asarray(control.influence * scale)


def standard_error(influence: FloatArray, size: float) -> float | None:
    """Standard error of the mean, or ``None`` where there are too few users or they do not vary."""
    n = len(influence)
    if n < 2:
        return None
    spread = float(influence.std(ddof=1))
    return spread / float(np.sqrt(n)) if spread > ROUNDING * size else None
