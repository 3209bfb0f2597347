"""CUPED: its equation, what it takes away, what it must not touch, and tea-tasting's figures."""

import numpy as np
import pytest
from scipy.stats import binom

from experiments.inference.covariates import adjust
from experiments.inference.users import UserSums, lift_between, ratio_of, relative_lift
from sim.errors import InvalidInput
from sim.random import RandomStream


def arm(rng, num, lift=0.0, noise=1.0):
    """A ratio metric and the same before, of users who differ in activity and in rate.

    Returns:
        Sums of the experiment, and of the time before it; the true ratio is 0.3 (1 + lift) in the experiment.
    """
    activity, rate = rng.gamma(2, 10, size=num), np.clip(rng.normal(0.3, 0.12, size=num), 0, 1)
    now, then = (rng.poisson(activity * noise) for _ in range(2))
    return UserSums(rng.binomial(now, rate * (1 + lift)), now), UserSums(rng.binomial(then, rate), then)


def test_of_plain_means_it_is_the_equation_of_deng_et_al():
    rng = RandomStream(0, "cuped").generator()
    x = rng.gamma(3, 2, size=(2, 400))
    y = 2.0 + 0.8 * x + rng.normal(0, 1, size=(2, 400))
    ones = np.ones(400)
    actual = adjust(*(UserSums(arm, ones) for arm in y), tuple(UserSums(arm, ones) for arm in x))
    within = [np.cov(y[k], x[k], ddof=0) for k in (0, 1)]  # both arms have as many users
    theta = (within[0][0, 1] + within[1][0, 1]) / (within[0][1, 1] + within[1][1, 1])
    assert actual.theta == pytest.approx(theta)
    adjusted = y - theta * (x - x.mean())
    assert (actual.treated.value, actual.control.value) == pytest.approx(tuple(adjusted.mean(axis=1)))
    assert actual.treated.influence.var() == pytest.approx(adjusted[0].var())
    correlation = np.corrcoef((y - y.mean(axis=1, keepdims=True)).ravel(), (x - x.mean(axis=1, keepdims=True)).ravel())
    assert actual.variance_reduction == pytest.approx(correlation[0, 1] ** 2)


def test_a_perfect_covariate_leaves_no_variance_and_an_unrelated_one_leaves_all():
    rng = RandomStream(1, "cuped").generator()
    x, ones = rng.gamma(3, 2, size=(2, 500)), np.ones(500)
    same = [UserSums(arm, ones) for arm in x]
    actual = adjust(*same, (same[0], same[1]))
    assert actual.variance_reduction == pytest.approx(1.0)
    assert actual.treated.value == pytest.approx(actual.control.value)  # all of the difference was there before
    other = [UserSums(arm, ones) for arm in rng.gamma(3, 2, size=(2, 500))]
    assert adjust(*same, (other[0], other[1])).variance_reduction == pytest.approx(0.0, abs=0.02)


def test_an_effect_is_not_taken_away_and_unequal_arms_are_no_bias():
    rng, lifts = RandomStream(2, "cuped").generator(), []
    for _ in range(300):
        (treated, before_t), (control, before_c) = arm(rng, 150, lift=0.2), arm(rng, 450)
        actual = adjust(treated, control, (before_t, before_c))
        lifts.append(actual.treated.value / actual.control.value - 1)
    assert np.mean(lifts) == pytest.approx(0.2, abs=4 * np.std(lifts) / np.sqrt(300))


def test_lifts_of_ratios_with_and_without_cover_the_truth_and_cuped_is_narrower():
    rng, trials = RandomStream(3, "cuped").generator(), 1000
    covered, widths = np.zeros(2), np.zeros(2)
    for _ in range(trials):
        (treated, before_t), (control, before_c) = arm(rng, 200, lift=0.1), arm(rng, 200)
        actual = adjust(treated, control, (before_t, before_c))
        for k, lift in enumerate(
            (relative_lift(treated, control, False), lift_between(actual.treated, actual.control, False))
        ):
            covered[k] += lift.low <= 0.1 <= lift.high
            widths[k] += lift.high - lift.low
    low, high = binom.ppf([0.0005, 0.9995], trials, 0.95)
    assert ((low <= covered) & (covered <= high)).all(), covered
    assert widths[1] < 0.9 * widths[0]


def test_users_who_did_nothing_before_or_during_count_and_change_nothing_by_themselves():
    rng = RandomStream(4, "cuped").generator()
    (treated, before_t), (control, before_c) = arm(rng, 300, noise=0.1), arm(rng, 300, noise=0.1)
    assert (treated.denominator == 0).any()
    assert (before_t.denominator == 0).any()
    actual = adjust(treated, control, (before_t, before_c))
    assert len(actual.treated.influence) == 300
    assert actual.treated.influence[(treated.denominator == 0) & (before_t.denominator == 0)] == pytest.approx(0.0)


def test_no_covariate_no_adjustment():
    some, none = UserSums([1.0, 2.0, 3.0], [1, 1, 1]), UserSums([0, 0, 0], [0, 0, 0])
    flat = UserSums([1.0, 1.0, 1.0], [1, 1, 1])
    assert adjust(some, some, (flat, flat)) is None
    assert adjust(some, some, (none, none)) is None
    assert adjust(none, some, (some, some)) is None
    with pytest.raises(InvalidInput, match=r"len\(before control\).*must be 3"):
        adjust(some, some, (some, UserSums([1.0], [1.0])))


@pytest.mark.parametrize("with_covariate", [False, True])
def test_lifts_are_those_of_tea_tasting(with_covariate):
    tea = pytest.importorskip("tea_tasting")
    import pyarrow as pa

    rng = RandomStream(5, "cuped").generator()
    (treated, before_t), (control, before_c) = arm(rng, 2000, lift=0.05), arm(rng, 2000)
    columns = {
        "variant": [1] * 2000 + [0] * 2000,
        "n": np.concatenate([treated.numerator, control.numerator]),
        "d": np.concatenate([treated.denominator, control.denominator]),
        "x": np.concatenate([before_t.numerator, before_c.numerator]),
        "z": np.concatenate([before_t.denominator, before_c.denominator]),
    }
    metric = tea.RatioOfMeans("n", "d", "x", "z") if with_covariate else tea.RatioOfMeans("n", "d")
    metric.use_t = False
    known = tea.Experiment(m=metric).analyze(pa.table(columns))["m"]
    pair = ratio_of(treated), ratio_of(control)
    tolerance = 1e-9
    if with_covariate:
        actual = adjust(treated, control, (before_t, before_c))
        pair, tolerance = (actual.treated, actual.control), 0.01  # it has theta around the common ratio, not the arm's
    error = np.hypot(*(r.influence.std(ddof=1) / np.sqrt(2000) for r in pair))
    known_error = (known.effect_size_ci_upper - known.effect_size_ci_lower) / (2 * 1.959964)
    assert pair[0].value - pair[1].value == pytest.approx(known.effect_size, abs=tolerance * error)
    assert error == pytest.approx(known_error, rel=max(tolerance, 1e-6))
    lift = lift_between(*pair, paired=False)
    assert lift.relative == pytest.approx(known.rel_effect_size, abs=tolerance * lift.error)
    # Its relative interval is made on the logarithm: the same to first order.
    assert (lift.low, lift.high) == pytest.approx(
        (known.rel_effect_size_ci_lower, known.rel_effect_size_ci_upper), abs=0.1 * lift.error
    )
