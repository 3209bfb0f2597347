"""Always-valid intervals: their formula, and false alarms under daily looks."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from experiments.inference.sequential import running_intervals
from experiments.inference.users import Lift, UserSums, relative_lift
from sim.random import RandomStream

Z = 1.959963985


def look(relative, error):
    return Lift(relative, relative - Z * error, relative + Z * error, None)


def width(error, prior):
    """Half-width of the confidence sequence of Waudby-Smith et al., with n = 1 / error^2 and rho = prior."""
    n = 1 / error**2
    return math.sqrt(2 * (n * prior**2 + 1) / (n**2 * prior**2) * math.log(math.sqrt(n * prior**2 + 1) / 0.05))


def test_widths_are_those_of_the_confidence_sequence_and_narrowest_at_the_first_look():
    errors = [0.04, 0.03, 0.02, 0.01]
    actual = running_intervals([look(0.1, error) for error in errors])
    prior = 0.04 * math.sqrt(2 * math.log(20) + math.log(1 + 2 * math.log(20)))
    for lift, error in zip(actual, errors, strict=True):
        assert (lift.high - lift.low) / 2 == pytest.approx(width(error, prior))
        assert lift.high + lift.low == pytest.approx(0.2)
    best = minimize_scalar(lambda p: width(0.04, p), bounds=(0.001, 10), method="bounded").fun
    assert (actual[0].high - actual[0].low) / 2 == pytest.approx(best, rel=0.005)


def test_p_is_below_five_percent_from_the_first_look_on_that_leaves_zero_out():
    actual = running_intervals([look(0.05, 0.04), look(0.12, 0.03), look(0.02, 0.02)])
    assert [lift.low > 0 for lift in actual] == [False, True, False]
    assert [lift.p < 0.05 for lift in actual] == [False, True, True]
    edge = running_intervals([look((actual[0].high - actual[0].low) / 2, 0.04)])[0]
    assert edge.low == pytest.approx(0.0, abs=1e-12)
    assert edge.p == pytest.approx(0.05)


def test_looks_without_an_estimate_pass_through():
    nothing, same = Lift(None, None, None, None), Lift(0.0, 0.0, 0.0, 1.0)
    assert running_intervals([nothing, same]) == [nothing, same]
    actual = running_intervals([nothing, same, look(0.1, 0.01), Lift(0.2, None, None, None)])
    assert actual[:2] == [nothing, same]
    assert actual[2].low > 0
    assert actual[3] == Lift(0.2, None, None, None)
    assert running_intervals([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("carry", [0.0, 0.8])  # how much of a user's mood is yesterday's
def test_looking_every_day_raises_false_alarms_of_fixed_intervals_and_not_of_these(paired, carry):
    rng, trials, users, days = RandomStream(0, "peeking").generator(), 600, 150, 28
    alarms = np.zeros(2, dtype=int)
    for _ in range(trials):
        level = rng.gamma(2, 1, size=(2, users, 1))
        if paired:
            level[1] = level[0]
        mood = rng.normal(size=(2, users, days))
        for d in range(1, days):
            mood[:, :, d] = carry * mood[:, :, d - 1] + math.sqrt(1 - carry**2) * mood[:, :, d]
        so_far = (level * np.exp(mood - 0.5)).cumsum(axis=2)  # heavy tails: log-normal days
        past = np.arange(1.0, days + 1)
        fixed = [
            relative_lift(*(UserSums(arm[:, d], np.full(users, past[d])) for arm in so_far), paired=paired)
            for d in range(days)
        ]
        for k, looks in enumerate((fixed, running_intervals(fixed))):
            alarms[k] += any(lift.low > 0 or lift.high < 0 for lift in looks)
    assert alarms[0] > 0.08 * trials
    assert alarms[1] <= 0.05 * trials


def test_an_effect_is_detected_before_the_end():
    rng, users, days = RandomStream(1, "peeking").generator(), 2000, 14
    level = rng.gamma(2, 1, size=(users, 1))
    arms = [(lift * level * rng.gamma(2, 0.5, size=(users, days))).cumsum(axis=1) for lift in (1.1, 1.0)]
    fixed = [relative_lift(*(UserSums(arm[:, d], np.ones(users)) for arm in arms), paired=True) for d in range(days)]
    actual = [lift.low > 0 for lift in running_intervals(fixed)]
    assert actual[-1]
    assert sum(actual) > 3
