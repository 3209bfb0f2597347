"""The bootstrap over users: as wide as theory says, paired, and the same for the same stream."""

import numpy as np
import pytest

from experiments.offline.intervals import coverage, means, paired_p
from sim.random import RandomStream

STREAM = RandomStream(5, "intervals")


def test_an_interval_is_as_wide_as_that_of_a_mean():
    values = STREAM.normal(np.arange(400), 2) * [1, 3] + 2
    first, second = means(values, STREAM, 1000)
    for each, sd in ((first, values[:, 0].std()), (second, values[:, 1].std())):
        low, high = each.interval()
        assert low < each.value < high
        assert high - low == pytest.approx(2 * 1.96 * sd / 20, rel=0.1)
        assert each.values.mean() == pytest.approx(each.value, abs=0.02 * sd)


def test_differences_are_paired():
    values = STREAM.normal(np.arange(200), 1)
    (one,), (other,) = means(values + 0.25, STREAM, 300), means(values, STREAM, 300)
    low, high = (one - other).interval()
    assert (low, high) == pytest.approx((0.25, 0.25))
    assert other.interval()[1] - other.interval()[0] > 0.1


def test_the_same_stream_draws_the_same_users():
    values = STREAM.normal(np.arange(50), 1)
    np.testing.assert_array_equal(means(values, STREAM, 70)[0].values, means(values, STREAM, 70)[0].values)
    assert (means(values, STREAM.at("x"), 70)[0].values != means(values, STREAM, 70)[0].values).any()


def test_coverage_counts_what_is_in_anybodys_list():
    answers = np.array([[0, 1], [1, 2], [2, -1]])
    actual = coverage(answers, 6, STREAM, 200)
    assert actual.value == 3 / 6
    low, high = actual.interval()
    assert low < actual.value <= high


def test_coverage_that_depends_on_no_single_user_has_no_spread_and_intervals_stay_below_one():
    everyone = np.tile(np.arange(4), (30, 1))
    assert coverage(everyone, 8, STREAM, 100).interval() == pytest.approx((0.5, 0.5))
    each_their_own = coverage(np.arange(60)[:, None], 60, STREAM, 400)
    # Of n users who each have an item of their own, a resample holds n (1 - (1 - 1/n)^n) on average; see Efron 1979.
    assert each_their_own.value == 1
    assert each_their_own.values.max() <= 1
    half = coverage(np.arange(60)[:, None], 120, STREAM, 400)
    share = 1 - (1 - 1 / 60) ** 60
    pairs = (1 - 2 / 60) ** 60  # that two given users are both left out
    variance = 60 * share * (1 - share) + 60 * 59 * (pairs - (1 - share) ** 2)
    assert half.values.std() == pytest.approx(np.sqrt(variance) / 120, rel=0.15)
    assert half.values.mean() == pytest.approx(0.5)


def test_a_measure_lies_inside_its_interval_also_where_nearly_all_resamples_are_alike():
    """One cluster of eleven hangs on three users of 60: hardly any resample is without it, so that none is the mean."""
    answers = np.tile(np.arange(10), (60, 1))
    answers[:4, 0] = 10
    answers[4:, 1] = 1
    actual = coverage(answers, 24, STREAM, 400)
    low, high = actual.interval()
    assert actual.value == 11 / 24
    assert np.quantile(actual.values, 0.025) > actual.value  # what was called the interval
    assert low <= actual.value <= high


def test_p_is_small_where_there_is_a_difference_and_none_where_nothing_varies():
    noise = STREAM.normal(np.arange(100), 1)[:, 0]
    assert paired_p(noise + 1) < 1e-6
    assert paired_p(noise - noise.mean()) == pytest.approx(1)
    assert paired_p(np.full(100, 0.3)) is None
    assert paired_p(np.zeros(1)) is None
