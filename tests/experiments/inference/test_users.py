import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp, ttest_ind
from scipy.stats import t as student

from experiments.inference.users import (
    Interval,
    Lift,
    UserSums,
    ratio_interval,
    relative_lift,
)
from sim.errors import InvalidInput
from sim.random import RandomStream


def users(rng, num, rate=0.3, sd=0.1):
    """Impressions and positives of users who differ in how much they see and in what they like."""
    seen = rng.poisson(rng.gamma(2, 5, size=num))
    own = np.clip(rng.normal(rate, sd, size=num), 0, 1)
    return UserSums(rng.binomial(seen, own), seen)


def binomial_bounds(trials, rate):
    """Counts that a correct procedure leaves once in a thousand: the seeds are fixed, the bounds not tuned to them."""
    return binom.ppf([0.0005, 0.9995], trials, rate)


def test_delta_variance_equals_the_formula_of_three_terms():
    sums = users(RandomStream(1).generator(), 500)
    sums = sums.only(sums.denominator > 0)
    n, d, num = sums.numerator, sums.denominator, len(sums.numerator)
    r, cov = n.sum() / d.sum(), np.cov(n, d)
    error = np.sqrt((cov[0, 0] - 2 * r * cov[0, 1] + r**2 * cov[1, 1]) / (num * d.mean() ** 2))
    interval = ratio_interval(sums)
    assert interval.value == pytest.approx(r)
    assert interval.high - interval.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)
    assert interval.n == num


def test_few_users_have_students_interval_and_p():
    """By scipy's own tests of means, to which the delta method comes down where all denominators are 1."""
    rng = RandomStream(3, "few").generator()
    one, other = rng.normal(10, 1, 6), rng.normal(11, 3, 9)
    sums = UserSums(one, np.ones(6)), UserSums(other, np.ones(9))
    known = ttest_1samp(one, 0).confidence_interval(0.95)
    actual = ratio_interval(sums[0])
    assert (actual.low, actual.high) == pytest.approx((known.low, known.high))
    paired = relative_lift(UserSums(other[:6], np.ones(6)), sums[0], paired=True)
    ratio = other[:6].mean() / one.mean()
    terms = (other[:6] - other[:6].mean()) / one.mean() - (one - one.mean()) * ratio / one.mean()
    assert paired.p == pytest.approx(ttest_1samp(terms, -paired.relative).pvalue)
    assert paired.high - paired.low == pytest.approx(2 * student.ppf(0.975, 5) * np.std(terms, ddof=1) / np.sqrt(6))
    split = relative_lift(
        UserSums(one / one.mean(), np.ones(6)), UserSums(other / other.mean(), np.ones(9)), paired=False
    )
    welch = ttest_ind(one / one.mean(), other / other.mean(), equal_var=False)
    width = welch.confidence_interval(0.95)
    assert split.high - split.low == pytest.approx(width.high - width.low)
    assert split.p == pytest.approx(1)


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_few_users_hold_as_often_as_they_say(paired):
    rng, trials = RandomStream(4, "few", int(paired)).generator(), 2000
    held = 0
    for _ in range(trials):
        one, other = (UserSums(rng.normal(10, 1, 5), np.ones(5)) for _ in range(2))
        lift = relative_lift(one, other, paired)
        held += lift.low <= 0 <= lift.high
        assert (lift.p < 0.05) == (not lift.low <= 0 <= lift.high)
    low, high = binomial_bounds(trials, 0.95)
    assert low <= held <= high + 20 * (not paired)  # Welch's with five and five is a little wide


def test_ratio_interval_covers_the_truth():
    # E[own] is 0.3 and own is independent of seen, so the ratio of expectations is 0.3.
    rng, trials = RandomStream(2, "coverage").generator(), 1000
    intervals = [ratio_interval(users(rng, 300)) for _ in range(trials)]
    low, high = binomial_bounds(trials, 0.95)
    assert low <= sum(i.low <= 0.3 <= i.high for i in intervals) <= high


@pytest.mark.parametrize("paired", [True, False])
def test_planted_lift_of_ten_percent_is_covered(paired):
    rng, trials, covered, actual = RandomStream(3, "lift").generator(), 400, 0, 0
    for _ in range(trials):
        own = rng.gamma(4, 5, size=400)
        other = own if paired else rng.gamma(4, 5, size=400)
        control = UserSums(own + rng.normal(0, 2, 400), np.ones(400))
        treated = UserSums(1.1 * (other + rng.normal(0, 2, 400)), np.ones(400))
        lift = relative_lift(treated, control, paired)
        covered += lift.low <= 0.1 <= lift.high
        actual += lift.p < 0.05
    low, high = binomial_bounds(trials, 0.95)
    assert low <= covered <= high
    assert actual == trials if paired else actual > trials / 2  # twins see through what users differ in


def test_false_positives_of_splits_of_one_population_are_nominal():
    rng, splits = RandomStream(4, "a/a").generator(), 200
    everyone = users(rng, 2000)
    actual = 0
    for _ in range(splits):
        order = rng.permutation(2000)
        lift = relative_lift(everyone.only(order[:1000]), everyone.only(order[1000:]), paired=False)
        actual += lift.p < 0.05
        assert (lift.p < 0.05) == (not lift.low <= 0 <= lift.high)
    low, high = binomial_bounds(splits, 0.05)
    assert low <= actual <= high


def test_identical_arms_differ_by_exactly_nothing():
    sums = users(RandomStream(5).generator(), 50)
    assert relative_lift(sums, sums, paired=True) == Lift(0.0, 0.0, 0.0, 1.0)
    unpaired = relative_lift(sums, sums, paired=False)
    assert unpaired.relative == 0.0
    assert unpaired.low < 0 < unpaired.high
    assert unpaired.p == 1.0


def test_undefined_estimates_are_none():
    nobody, one, two = UserSums(np.zeros(2), np.zeros(2)), UserSums([1], [2]), UserSums([1, 1], [2, 2])
    vary = UserSums([1, 2], [2, 2])
    assert ratio_interval(nobody) == Interval(None, None, None, 0)
    assert ratio_interval(UserSums(np.empty(0), np.empty(0))) == Interval(None, None, None, 0)
    assert ratio_interval(one) == Interval(0.5, None, None, 1)
    assert ratio_interval(two) == Interval(0.5, None, None, 2)
    assert relative_lift(nobody, two, True) == Lift(None, None, None, None)
    assert relative_lift(vary, UserSums([0, 0], [1, 1]), True) == Lift(None, None, None, None)
    assert relative_lift(one, UserSums([3, 1], [4, 4]), False) == Lift(0.0, None, None, None)
    assert relative_lift(vary, two, False) == Lift(0.5, None, None, None)
    assert relative_lift(UserSums([1.1, 2.2], [1, 1]), UserSums([1, 2], [1, 1]), True).low is None


def test_bad_sums_are_refused():
    for numerator, denominator in (([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([0.0], [-1.0]), ([1.0], [0.0])):
        with pytest.raises(InvalidInput):
            UserSums(numerator, denominator)
    with pytest.raises(InvalidInput, match="to pair"):
        relative_lift(UserSums([1.0], [1.0]), UserSums([1.0, 2.0], [1.0, 1.0]), paired=True)


rows = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=30)


@given(rows, rows, st.booleans(), st.sampled_from([0.25, 2.0, 1024.0]))
@settings(deadline=None)
def test_invariants(first, second, paired, scale):
    if paired:
        second = (second * len(first))[: len(first)]
    arms = [UserSums([n for n, _ in arm], [d for _, d in arm]) for arm in (first, second)]
    for sums in arms:
        got = ratio_interval(sums)
        assert got.low is None or got.low <= got.value <= got.high
    lift = relative_lift(*arms, paired)
    parts = [lift.relative, lift.low, lift.high, lift.p]
    assert all(part is None or np.isfinite(part) for part in parts)
    assert (lift.low is None) == (lift.high is None) == (lift.p is None)
    if lift.low is not None:
        assert lift.low <= lift.relative <= lift.high
        assert 0 <= lift.p <= 1
    # A power of two changes the unit; once in a thousand times also the last digit.
    scaled = relative_lift(*[UserSums(s.numerator * scale, s.denominator) for s in arms], paired)
    assert [scaled.relative, scaled.low, scaled.high, scaled.p] == [
        None if part is None else pytest.approx(part, rel=1e-13, abs=1e-13) for part in parts
    ]
    turned = [UserSums(s.numerator[::-1], s.denominator[::-1]) for s in arms]
    assert relative_lift(*turned, paired).relative == lift.relative
