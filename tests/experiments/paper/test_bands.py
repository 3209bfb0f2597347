"""Bands over worlds: Student's t at one place, and the promised coverage along a curve."""

import numpy as np
import pytest
from scipy.stats import t as student

from experiments.inference.worlds import over_worlds
from experiments.several import bands
from experiments.several.bands import curve_over_worlds


def test_one_place_is_students_t():
    values = [0.1, 0.4, -0.2, 0.3, 0.05]
    curve = curve_over_worlds([7], [[value] for value in values])
    known = over_worlds(values)
    assert curve.mean[0] == pytest.approx(known.mean)
    assert curve.high[0] - curve.mean[0] == pytest.approx(known.high - known.mean, rel=0.1)  # c is simulated


def test_places_that_go_together_cost_nothing():
    values = np.array([0.1, 0.4, -0.2, 0.3, 0.05])
    alone = curve_over_worlds([1], [[v] for v in values])
    together = curve_over_worlds([1, 2, 3], [[v, 2 * v, 3 * v] for v in values])
    assert together.high[2] - together.mean[2] == pytest.approx(3 * (alone.high[0] - alone.mean[0]))


def coverage(worlds, memory, trials):
    """Share of trials in which the band of some noise holds zero at all of 12 places."""
    places, covered = 12, 0
    noise = np.random.default_rng(1).normal(size=(trials, worlds, places))
    for place in range(1, places):
        noise[..., place] = memory * noise[..., place - 1] + np.sqrt(1 - memory**2) * noise[..., place]
    for of_trial in noise.tolist():
        curve = curve_over_worlds(range(places), of_trial)
        covered += max(curve.low) < 0 < min(curve.high)
    return covered / trials


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_the_band_covers_the_whole_truth_as_often_as_it_says(memory, monkeypatch):
    """Of 100 trials 95 hold, give or take 2.2; what few draws cost is in the margin."""
    monkeypatch.setattr(bands, "DRAWS", 200)
    assert coverage(5, memory, 100) > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_five_worlds_are_enough_for_the_simulated_band(memory):
    assert coverage(5, memory, 600) > 0.93


@pytest.mark.parametrize(("trials", "least"), [(500, 0.93), pytest.param(2000, 0.94, marks=pytest.mark.slow)])
@pytest.mark.parametrize("memory", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("worlds", [2, 3, 4])
def test_few_worlds_get_a_band_that_covers_too(worlds, memory, trials, least):
    """0.95 less two standard errors: of 2,000 trials .01, of 500 .02."""
    assert coverage(worlds, memory, trials) > least


def test_few_worlds_get_bonferronis_band():
    curve = curve_over_worlds([1, 2, 3], [[0.1, 0.2, 0.5], [0.2, 0.1, 0.5], [0.4, 0.0, 0.5]])
    t = student.ppf(1 - 0.05 / 4, 2)  # two places: at the third, worlds agree
    expected = [np.std([0.1, 0.2, 0.4], ddof=1), np.std([0.2, 0.1, 0.0], ddof=1), 0.0]
    np.testing.assert_allclose(np.subtract(curve.high, curve.mean), t * np.array(expected) / np.sqrt(3), atol=1e-12)


def test_worlds_that_agree_have_no_width_and_one_world_knows_nothing():
    curve = curve_over_worlds([1, 2], [[0.1, 0.2]] * 3)
    assert curve.low == pytest.approx(curve.high)
    assert np.isnan(curve_over_worlds([1], [[0.1]]).low[0])
    assert curve_over_worlds([], [[], []]) is None


def test_a_part_of_a_curve_keeps_its_band():
    whole = curve_over_worlds([1, 2, 3], [[0.1, 0.2, 0.3], [0.2, 0.1, 0.4]])
    part = whole.within(2, 3)
    assert part.x == (2, 3)
    assert part.low == whole.low[1:]
    assert part.by_world == ((0.2, 0.3), (0.1, 0.4))
