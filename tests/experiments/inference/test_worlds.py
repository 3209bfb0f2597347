"""Random effects over worlds against statsmodels, a t test, and planted truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from experiments.inference.worlds import over_worlds
from sim.errors import InvalidInput
from sim.random import RandomStream

worlds = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=2, max_size=8
).filter(lambda pairs: np.std([y for y, _ in pairs]) > 1e-6)  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of statsmodels, on what is not compared
@given(worlds)
@settings(deadline=None)
def test_random_effects_are_those_of_statsmodels(pairs):
    meta = pytest.importorskip("statsmodels.stats.meta_analysis")
    values, errors = ([pair[k] for pair in pairs] for k in (0, 1))
    known = meta.combine_effects(np.array(values), np.array(errors) ** 2, method_re="chi2", use_t=True)
    actual = over_worlds(values, errors)
    assert actual.tau**2 == pytest.approx(max(0.0, known.tau2), abs=1e-9)
    assert actual.i_squared == pytest.approx(max(0.0, known.i2), abs=1e-9)
    if known.tau2 > 0:
        table = known.summary_frame().loc["random effect wls"]
        assert (actual.mean, actual.low, actual.high) == pytest.approx(
            (table["eff"], table["ci_low"], table["ci_upp"]), abs=1e-9
        )


def test_a_case_worked_by_hand():
    # Errors 1 and 1, values 0 and 4: y0 = 2, Q = 8, tau^2 = (8 - 1) / (2 - 1) = 7, I^2 = 7 / 8.
    actual = over_worlds([0.0, 4.0], [1.0, 1.0])
    assert actual.mean == pytest.approx(2.0)
    assert actual.tau == pytest.approx(np.sqrt(7))
    assert actual.i_squared == pytest.approx(7 / 8)
    assert actual.high == pytest.approx(2 + 12.7062 * 2, rel=1e-4)  # t(0.975, 1) and s / sqrt(2) = 2


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8).filter(lambda v: np.std(v) > 1e-6))
def test_without_errors_and_with_equal_ones_it_is_a_t_test(values):
    known = ttest_1samp(values, 0)
    interval = known.confidence_interval(0.95)
    for errors in (None, [0.3] * len(values), [0.3] * (len(values) - 1) + [None]):
        actual = over_worlds(values, errors)
        assert actual.mean == pytest.approx(np.mean(values))
        assert (actual.low, actual.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
        assert actual.p == pytest.approx(known.pvalue)
    assert over_worlds(values).tau is None


@pytest.mark.parametrize("tau", [0.0, 0.5, 2.0])
def test_the_interval_covers_the_truth_as_often_as_it_says(tau):
    rng, trials, num = RandomStream(0, "worlds").generator(), 4000, 5
    errors = np.array([0.4, 0.5, 0.6, 0.7, 0.8])
    covered = 0
    for _ in range(trials):
        actual = over_worlds(
            (1.0 + tau * rng.normal(size=num) + errors * rng.normal(size=num)).tolist(), errors.tolist()
        )
        covered += actual.low <= 1.0 <= actual.high
    low, high = binom.ppf([0.0005, 0.9995], trials, 0.95)
    assert low - 0.01 * trials <= covered <= high + 0.01 * trials  # a point for t with estimated weights


def test_heterogeneity_is_detected_where_it_is_planted_and_only_there():
    rng, errors = RandomStream(1, "worlds").generator(), np.full(400, 0.2)
    same, apart = (over_worlds((tau * rng.normal(size=400) + errors * rng.normal(size=400)).tolist(), errors.tolist())
                   for tau in (0.0, 0.3))  # fmt: skip
    assert same.tau < 0.08
    assert apart.tau == pytest.approx(0.3, abs=0.05)
    assert apart.i_squared == pytest.approx(0.09 / 0.13, abs=0.08)


def test_undefined_values_are_none():
    assert over_worlds([]).mean is None
    assert over_worlds([1.0, None, 2.0], [0.1, 0.1, 0.1]).mean is None
    assert (over_worlds([1.0], [0.1]).mean, over_worlds([1.0], [0.1]).low) == (1.0, None)
    exact = over_worlds([0.0, 0.0], [0.0, 0.0])  # twins that are identical in both worlds
    assert (exact.mean, exact.low, exact.high, exact.p, exact.tau) == (0.0, 0.0, 0.0, None, None)
    with pytest.raises(InvalidInput, match="one a value"):
        over_worlds([1.0, 2.0], [0.1])
    with pytest.raises(InvalidInput, match="must not be negative"):
        over_worlds([1.0, 2.0], [0.1, -0.1])
