"""Bands over thresholds and over days: known quantiles, planted truth, coverage."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from experiments.inference.bands import MIN_REFERENCE_USERS, curve_band, threshold_band
from experiments.inference.users import UserSums, lift_between, ratio_of
from sim.random import RandomStream


def mean_curves(treated, control):
    """(U, P) values of each arm as pairs of ratios, one pair a point."""
    ones = np.ones(len(treated)), np.ones(len(control))
    pairs = zip(treated.T, control.T, strict=True)
    return [(ratio_of(UserSums(one, ones[0])), ratio_of(UserSums(two, ones[1]))) for one, two in pairs]


def factor_of(band, curve, paired):
    """How many standard errors the band is wide, either way."""
    return [
        (lift.high - lift.relative) / lift_between(*pair, paired).error for lift, pair in zip(band, curve, strict=True)
    ]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("points", [1, 2, 14])
def test_independent_points_need_the_quantile_of_their_maximum(points, paired):
    rng = RandomStream(0, "sup-t", points).generator()
    treated, control = (10 + rng.normal(size=(4000, points)) for _ in range(2))
    curve = mean_curves(treated, control)
    factors = factor_of(curve_band(curve, paired, rng), curve, paired)
    known = -ndtri((1 - 0.95 ** (1 / points)) / 2)  # P(max of P |N(0, 1)| < c) = 0.95
    assert factors == pytest.approx([known] * points, rel=0.03)


@pytest.mark.parametrize("paired", [True, False])
def test_points_in_step_need_no_more_than_one(paired):
    rng = RandomStream(1, "sup-t").generator()
    once = rng.normal(size=(2, 3000, 1))
    treated, control = 10 + once * np.arange(1, 9)  # the same users are lucky on every day
    curve = mean_curves(treated, control)
    assert factor_of(curve_band(curve, paired, rng), curve, paired) == pytest.approx([1.96] * 8, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_the_band_holds_the_whole_curve_as_often_as_it_says_and_pointwise_intervals_do_not(paired, monkeypatch):
    monkeypatch.setattr("experiments.inference.bands.DRAWS", 2000)  # a percent of the factor, for speed
    rng, trials, days = RandomStream(2, "curve").generator(), 1000, 8
    truth = 1 + 0.02 * np.arange(days)
    whole = pointwise = 0
    for _ in range(trials):
        own = rng.gamma(4, 1, size=(2, 200, 1)) * np.ones(days)
        control = own[0] * rng.gamma(4, 0.25, size=(200, days))
        treated = own[0 if paired else 1] * rng.gamma(4, 0.25, size=(200, days)) * truth
        curve = mean_curves(treated, control)
        inside = [b.low <= t - 1 <= b.high for b, t in zip(curve_band(curve, paired, rng), truth, strict=True)]
        whole += all(inside)
        alone = [lift_between(*pair, paired) for pair in curve]
        pointwise += all(b.low <= t - 1 <= b.high for b, t in zip(alone, truth, strict=True))
    low, high = binom.ppf([0.0005, 0.9995], trials, 0.95)
    assert low <= whole <= high
    assert pointwise < low


def test_days_on_which_nothing_varies_have_no_band_and_identical_twins_none_but_zero():
    rng = RandomStream(3).generator()
    values = rng.gamma(4, 1, size=(50, 3))
    values[:, 1] = 0.0
    other = values.copy()
    other[:, 2] *= rng.gamma(4, 0.25, size=50)
    band = curve_band(mean_curves(other, values), True, rng)
    assert (band[0].relative, band[0].low, band[0].high) == (0.0, 0.0, 0.0)
    assert (band[1].relative, band[1].low) == (None, None)
    assert band[2].low < band[2].relative < band[2].high
    assert curve_band([None, None], True, rng)[0].relative is None
    assert curve_band([], False, rng) == []


def test_band_of_identical_twins_has_no_width():
    count = RandomStream(6).generator().poisson(8, 300)
    band = threshold_band(count, count, True, RandomStream(7).generator())
    assert set(band.lift) == set(band.low) == set(band.high) == {0.0}
    assert (count >= band.thresholds[-1]).sum() >= MIN_REFERENCE_USERS > (count > band.thresholds[-1]).sum()


@pytest.mark.parametrize("paired", [True, False])
def test_band_holds_for_all_thresholds_at_once(paired):
    # Poisson counts with a planted ratio of means; the truth is the ratio of survival functions.
    from scipy.stats import poisson

    rng, trials, held = RandomStream(8, "band").generator(), 100, 0
    for _ in range(trials):
        shared = rng.poisson(4, 800) if paired else 0
        treated, control = (rng.poisson(m - 4 * paired, 800) + shared for m in (6.6, 6.0))
        band = threshold_band(treated, control, paired, rng)
        n = np.array(band.thresholds)
        truth = poisson.sf(n - 1, 6.6) / poisson.sf(n - 1, 6.0) - 1
        # At the lowest N everybody reaches, there is nothing to resample and no band.
        known = np.array([low is not None and high > low for low, high in zip(band.low, band.high, strict=True)])
        low, high = (np.array(bound, dtype=float)[known] for bound in (band.low, band.high))
        held += bool(((low <= truth[known]) & (truth[known] <= high)).all())
    low_count = binom.ppf(0.0005, trials, 0.95)
    assert held >= low_count


def test_band_is_narrower_for_twins_and_hides_the_rare():
    rng = RandomStream(9).generator()
    count = rng.poisson(8, 1000)
    more = count + rng.binomial(1, 0.3, 1000)
    twins, split = (threshold_band(more, count, paired, RandomStream(10).generator()) for paired in (True, False))
    assert twins.lift == split.lift
    assert twins.high[7] - twins.low[7] < split.high[7] - split.low[7]
    few = threshold_band(np.zeros(1000, dtype=int), count, False, rng)
    assert set(few.lift) == {-1.0}
    assert set(few.low) == {None}
    assert threshold_band(count[:20], count[:20], True, rng).thresholds == ()
    assert threshold_band(np.empty(0, int), count, False, rng).thresholds == ()
