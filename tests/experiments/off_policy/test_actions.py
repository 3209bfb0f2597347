"""Estimators for single actions: against obp's, against closed forms, and against a policy's true value."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.off_policy.actions import LoggedActions, Outcomes, diagnostics, dm, dr, ips, snips, switch_dr
from sim.errors import InvalidInput
from sim.random import RandomStream

GOLDEN = json.loads((Path(__file__).parent / "obp_golden.json").read_text())["actions"]


@pytest.fixture(scope="module")
def golden():
    inputs = {name: np.array(values) for name, values in GOLDEN["inputs"].items()}
    rows = LoggedActions(np.arange(len(inputs["reward"])), *(inputs[n] for n in ("reward", "propensity", "evaluated")))
    return rows, Outcomes(inputs["logged"], inputs["policy"])


def test_values_are_obps(golden):
    rows, outcomes = golden
    actual = {
        "ips": ips(rows),
        "snips": snips(rows),
        "dm": dm(rows, outcomes),
        "dr": dr(rows, outcomes),
        "switch_dr_1": switch_dr(rows, outcomes, 1.0),
        "switch_dr_3": switch_dr(rows, outcomes, 3.0),
    }
    assert set(actual) == set(GOLDEN["values"])
    for name, estimate in actual.items():
        assert estimate.value == pytest.approx(GOLDEN["values"][name], abs=1e-8), name


def test_a_policys_value_is_that_of_its_own_log():
    """Where the evaluated policy is the logging one, all weights are 1."""
    rng = RandomStream(0, "own").generator()
    p, r = rng.uniform(0.1, 1, 500), rng.normal(2, 1, 500)
    rows = LoggedActions(np.arange(500), r, p, p)
    assert ips(rows).value == pytest.approx(r.mean())
    assert snips(rows).value == pytest.approx(r.mean())
    actual = diagnostics(rows)
    assert (actual.effective_rows, actual.mean_weight.value, actual.clipped) == (pytest.approx(500), 1.0, 0.0)


def test_a_perfect_model_needs_no_weights(golden):
    rows, outcomes = golden
    exact = LoggedActions(rows.user, outcomes.logged, rows.propensity, rows.evaluated)
    for estimate in (dr(exact, outcomes), switch_dr(exact, outcomes, 1.0), dm(exact, outcomes)):
        assert estimate.value == pytest.approx(outcomes.policy.mean())


def test_limits_of_the_threshold_and_the_clip(golden):
    rows, outcomes = golden
    assert switch_dr(rows, outcomes, 0.0).value == pytest.approx(dm(rows, outcomes).value)
    assert switch_dr(rows, outcomes, 1e9).value == pytest.approx(dr(rows, outcomes).value)
    assert ips(rows, clip=0.0).value == 0.0
    assert snips(rows, clip=0.0).value is None
    assert diagnostics(rows, clip=1.0).clipped == pytest.approx((rows.weights() > 1).mean())


USERS, PER_USER, ACTIONS = 60, 15, 4


def drawn(number):
    """A log of one policy, in a world in which users differ in what they like; the true value of another."""
    rng = RandomStream(number, "log").generator()
    own = rng.normal(0, 0.15, (USERS, 1)).repeat(PER_USER, axis=0)  # a user's rows are not independent
    x = rng.random((USERS * PER_USER, 1))
    means = np.clip(0.2 + 0.5 * x * np.arange(ACTIONS) / ACTIONS + own, 0, 1)  # (n, A)
    logging = np.full((len(x), ACTIONS), 1 / ACTIONS) + (x - 0.5) * np.array([0.2, 0.1, -0.1, -0.2])
    policy = np.where(x > 0.5, [0.1, 0.1, 0.2, 0.6], [0.4, 0.3, 0.2, 0.1])
    action = (rng.random((len(x), 1)) > logging.cumsum(axis=1)).sum(axis=1).clip(0, ACTIONS - 1)
    rows = np.arange(len(x))
    reward = (rng.random(len(x)) < means[rows, action]).astype(float)
    user = np.repeat(np.arange(USERS), PER_USER)
    log = LoggedActions(user, reward, logging[rows, action], policy[rows, action])
    guess = 0.3 + 0.2 * x * np.ones(ACTIONS)  # a model that is off
    return log, Outcomes(guess[rows, action], (policy * guess).sum(axis=1))


def truth():
    """The value over many more users than a log has."""
    rng = RandomStream(0, "truth").generator()
    own, x = rng.normal(0, 0.15, (400_000, 1)), rng.random((400_000, 1))
    means = np.clip(0.2 + 0.5 * x * np.arange(ACTIONS) / ACTIONS + own, 0, 1)
    policy = np.where(x > 0.5, [0.1, 0.1, 0.2, 0.6], [0.4, 0.3, 0.2, 0.1])
    return float((policy * means).sum(axis=1).mean())


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 300 logs 95 %, give or take three standard errors; a model that is off is caught, and dr mends it."""
    value, logs = truth(), [drawn(number) for number in range(300)]
    estimators = {
        "ips": lambda log, model: ips(log),
        "snips": lambda log, model: snips(log),
        "dr": dr,
        "switch_dr": lambda log, model: switch_dr(log, model, 100.0),
    }
    for name, estimator in estimators.items():
        actual = [estimator(*log) for log in logs]
        covered = np.mean([each.low <= value <= each.high for each in actual])
        assert 0.91 <= covered <= 0.985, name
        assert np.mean([each.value for each in actual]) == pytest.approx(value, abs=0.006), name
    wrong = [dm(*log) for log in logs]
    assert np.mean([each.low <= value <= each.high for each in wrong]) < 0.5


def test_rows_of_one_user_are_not_taken_for_independent():
    log, _ = drawn(0)
    alone = LoggedActions(np.arange(len(log)), log.reward, log.propensity, log.evaluated)
    assert ips(alone).value == pytest.approx(ips(log).value)
    thrice = LoggedActions(*(np.tile(column, 3) for column in (log.user, log.reward, log.propensity, log.evaluated)))
    assert ips(thrice).high == pytest.approx(ips(log).high)  # the same users three times tell no more


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"propensity": [0.5, 0.0, np.nan]}, r"propensity='0.0 in row 1': must be in \(0, 1\]; 2 rows are not"),
        ({"propensity": [0.5, 1.5, 0.5]}, "1.5 in row 1"),
        ({"evaluated": [0.5, -0.1, 0.5]}, r"evaluated='-0.1 in row 1': must be in \[0, 1\]"),
        ({"reward": [np.inf, 0, 0]}, "reward='inf in row 0': must be finite"),
        ({"reward": [1.0, 0.0]}, "must have one number a row"),
    ],
)
def test_what_cannot_be_evaluated_is_named_and_counted(changes, says):
    columns = {"reward": [1.0, 0.0, 1.0], "propensity": [0.5, 0.5, 0.5], "evaluated": [0.1, 0.2, 0.3]}
    with pytest.raises(InvalidInput, match=says):
        LoggedActions(np.arange(3), **{name: np.array(v) for name, v in {**columns, **changes}.items()})
