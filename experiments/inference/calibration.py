"""Calibration of intervals: coverage of a planted truth over repeated draws, and A/A splits of one log."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, poisson

from experiments.inference.bands import curve_band, threshold_band
from experiments.inference.covariates import adjust
from experiments.inference.sequential import running_intervals
from experiments.inference.users import (
    LEVEL,
    Lift,
    Ratio,
    UserSums,
    lift_between,
    ratio_interval,
    ratio_of,
    relative_lift,
)
from experiments.inference.worlds import over_worlds
from sim.arrays import FloatArray, IntArray
from sim.random import RandomStream

_RATE, _LIFT, _USERS, _DAYS = 0.3, 0.1, 200, 8


def binomial_bounds(trials: int, rate: float) -> tuple[int, int]:
    """Counts that a procedure whose true rate is ``rate`` leaves once in a thousand."""
    low, high = binom.ppf([0.0005, 0.9995], trials, rate)
    return int(low), int(high)


@dataclass(frozen=True)
class Planted:
    """User sums with a known ratio, and the same users' sums before, which resemble them."""

    now: UserSums
    before: UserSums


def planted(
    rng: np.random.Generator, lift: float = 0.0, like: "FloatArray | None" = None
) -> tuple[Planted, FloatArray]:
    """Impressions and positives of users who differ in how much they see and in what they like.

    The true ratio is 0.3 (1 + lift). ``like`` and the second result are (2, U), activity and rate of the users; given,
    those drawn are their twins.
    """
    if like is None:
        like = np.stack([rng.gamma(2, 5, size=_USERS), np.clip(rng.normal(_RATE, 0.1, size=_USERS), 0, 1)])
    activity, rate = like
    now, before = rng.poisson(activity), rng.poisson(activity)
    sums = UserSums(rng.binomial(now, rate * (1 + lift)), now), UserSums(rng.binomial(before, rate), before)
    return Planted(*sums), like


def _within(low: float | None, truth: float, high: float | None) -> bool:
    return low is not None and high is not None and low <= truth <= high


def _ratio(rng: np.random.Generator) -> bool:
    interval = ratio_interval(planted(rng)[0].now)
    return _within(interval.low, _RATE, interval.high)


def _paired(rng: np.random.Generator) -> bool:
    control, like = planted(rng)
    lift = relative_lift(planted(rng, _LIFT, like)[0].now, control.now, paired=True)
    return _within(lift.low, _LIFT, lift.high)


def _split(rng: np.random.Generator) -> bool:
    lift = relative_lift(planted(rng, _LIFT)[0].now, planted(rng)[0].now, paired=False)
    return _within(lift.low, _LIFT, lift.high)


def _cuped(rng: np.random.Generator) -> bool:
    treated, control = planted(rng, _LIFT)[0], planted(rng)[0]
    lift = adjusted_lift(treated.now, control.now, (treated.before, control.before))
    return lift is not None and _within(lift.low, _LIFT, lift.high)


def _days(rng: np.random.Generator, paired: bool) -> tuple[list[tuple[Ratio, Ratio] | None], FloatArray]:
    """A curve of eight days whose true lift rises by two points a day, and that lift."""
    truth = 0.02 * np.arange(_DAYS)
    level = rng.gamma(4, 1, size=(2, _USERS, 1))
    if paired:
        level[1] = level[0]
    treated, control = level * rng.gamma(4, 0.25, size=(2, _USERS, _DAYS))  # (U, D) each
    ones = np.ones(_USERS)
    pairs = [
        (ratio_of(UserSums(one, ones)), ratio_of(UserSums(two, ones)))
        for one, two in zip((treated * (1 + truth)).T, control.T, strict=True)
    ]
    return [(one, two) for one, two in pairs if one is not None and two is not None], truth


def _daily_band(rng: np.random.Generator) -> bool:
    curve, truth = _days(rng, paired=True)
    band = curve_band(curve, True, rng)
    return all(_within(b.low, t, b.high) for b, t in zip(band, truth.tolist(), strict=True))


def _daily_pointwise(rng: np.random.Generator) -> bool:
    curve, truth = _days(rng, paired=True)
    alone = [lift_between(*pair, paired=True) for pair in curve if pair is not None]
    return all(_within(b.low, t, b.high) for b, t in zip(alone, truth.tolist(), strict=True))


def _threshold_band(rng: np.random.Generator) -> bool:
    shared = rng.poisson(4, 800)
    treated, control = (rng.poisson(mean, 800) + shared for mean in (2.6, 2.0))
    band = threshold_band(treated, control, True, rng)
    n = np.array(band.thresholds)
    truth = poisson.sf(n - 1, 6.6) / poisson.sf(n - 1, 6.0) - 1
    bounds = zip(band.low, truth.tolist(), band.high, strict=True)
    return all(_within(low, t, high) for low, t, high in bounds if low is not None and high != low)


def _worlds(rng: np.random.Generator) -> bool:
    errors = np.array([0.03, 0.04, 0.05])
    values = _LIFT + rng.normal(0, 0.06, size=3) + rng.normal(0, errors)
    mean = over_worlds(values.tolist(), errors.tolist())
    return _within(mean.low, _LIFT, mean.high)


COVERAGE: dict[str, Callable[[np.random.Generator], bool]] = {
    "ratio, delta method": _ratio,
    "lift, twins": _paired,
    "lift, split": _split,
    "lift, split, CUPED": _cuped,
    "band over 8 days, twins": _daily_band,
    "the same, each day by itself": _daily_pointwise,
    "band over thresholds, twins": _threshold_band,
    "mean over 3 worlds": _worlds,
}
"""What is covered, and one trial of it: whether the interval, or the whole band, held the truth."""


def covered(name: str, trials: int, stream: RandomStream) -> int:
    """The number of trials in which ``COVERAGE[name]`` covered the truth."""
    rng = stream.at(name).generator()
    return sum(COVERAGE[name](rng) for _ in range(trials))


def adjusted_lift(treated: UserSums, control: UserSums, before: tuple[UserSums, UserSums]) -> Lift | None:
    """The CUPED-adjusted lift between other users, ``None`` without a covariate."""
    adjusted = adjust(treated, control, before)
    return None if adjusted is None else lift_between(adjusted.treated, adjusted.control, paired=False)


@dataclass(frozen=True)
class FalseAlarms:
    """A/A splits of one log, of one metric.

    Attributes:
        splits: how many there were.
        plain, cuped: in how many the interval left 0 out, without and with adjustment.
        variance_reduction: mean over splits.
    """

    splits: int
    plain: int
    cuped: int
    variance_reduction: float


def halves(users: IntArray, splits: int, stream: RandomStream) -> Iterable[tuple[IntArray, IntArray]]:
    """Users drawn into two arms again and again, by named streams as ``split`` draws them."""
    for split in range(splits):
        first = stream.at("a/a", split).uniform(users, 1)[:, 0] < 0.5
        yield np.flatnonzero(first), np.flatnonzero(~first)


def false_alarms(now: UserSums, before: UserSums, splits: int, stream: RandomStream) -> FalseAlarms:
    """Split users who were all treated alike, and count how often a metric (U,) differs significantly."""
    plain = cuped = 0
    reductions = []
    for one, two in halves(np.arange(len(now.numerator)), splits, stream):
        lift = relative_lift(now.only(one), now.only(two), paired=False)
        plain += _alarm(lift)
        adjusted = adjust(now.only(one), now.only(two), (before.only(one), before.only(two)))
        if adjusted is not None:
            cuped += _alarm(lift_between(adjusted.treated, adjusted.control, paired=False))
            reductions.append(adjusted.variance_reduction)
    return FalseAlarms(splits, plain, cuped, float(np.mean(reductions)) if reductions else 0.0)


def peeking_alarms(until: list[UserSums], splits: int, stream: RandomStream) -> tuple[int, int]:
    """In how many splits any day's interval left 0 out: with intervals for one look, with running ones.

    ``until`` are D sums (U,) of a metric, over the days until then.
    """
    fixed = running = 0
    for one, two in halves(np.arange(len(until[0].numerator)), splits, stream):
        looks = [relative_lift(sums.only(one), sums.only(two), paired=False) for sums in until]
        fixed += any(map(_alarm, looks))
        running += any(map(_alarm, running_intervals(looks)))
    return fixed, running


def _alarm(lift: Lift) -> bool:
    return lift.p is not None and lift.low is not None and lift.high is not None and not lift.low <= 0 <= lift.high


NOMINAL = LEVEL, 1.0 - LEVEL
"""What coverage and false alarms should be."""
