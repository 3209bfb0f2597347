"""All estimators at once, a log as slates, and what is said of support."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.off_policy import actions
from experiments.off_policy.actions import LoggedActions, Outcomes, per_user
from experiments.off_policy.evaluation import ESTIMATORS, Limits, evaluate, slates_of, support
from experiments.off_policy.slates import LoggedSlates
from sim.errors import InvalidInput
from sim.log import AGENT, OWN, PRIOR, PRODUCTION
from tests.experiments.synthetic import log_of

LIMITS = Limits(clip=3.0, switch=2.0)


def rows_of(num, slots, seed=0, ratio=None):
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(num), slots)
    reward, propensity = rng.random(num * slots), rng.uniform(0.1, 0.6, num * slots)
    evaluated = np.minimum(propensity * (1 if ratio is None else rng.choice(ratio, num * slots)), 1)
    return LoggedSlates(user, user, reward, propensity, evaluated), LoggedActions(user, reward, propensity, evaluated)


def test_every_estimator_gives_the_logging_policy_its_logged_reward():
    rows, single = rows_of(200, 3)
    perfect = Outcomes(rows.reward, rows.reward)
    actual = evaluate(rows, single, LIMITS, perfect)
    assert list(actual) == list(ESTIMATORS)
    for name, interval in actual.items():
        assert interval.value == pytest.approx(rows.reward.sum() / 200), name
        assert interval.n == 200


def test_of_single_actions_slate_estimators_are_ips():
    rows, single = rows_of(300, 1, ratio=[0, 0.5, 4.0])
    actual = evaluate(rows, single, LIMITS)
    assert "dr" not in actual
    for name in ("standard", "reward_interaction", "pseudo_inverse"):
        assert actual[name].value == pytest.approx(actions.ips(single).value)
        assert actual[name].low == pytest.approx(actions.ips(single).low)
    assert actual["ips_clipped"].value == pytest.approx(actions.ips(single, 3.0).value)
    assert actual["ips_clipped"].value < actual["ips"].value


def test_values_are_a_slates():
    rows, single = rows_of(50, 4, ratio=[0.5, 1.5])
    actual = evaluate(rows, single, LIMITS, Outcomes(np.full(200, 0.3), np.full(200, 0.4)))
    assert actual["ips"].value == pytest.approx(4 * actions.ips(single).value)
    assert actual["snips"].high == pytest.approx(4 * actions.snips(single).high)
    assert actual["dm"].value == pytest.approx(1.6)


def test_a_log_is_cut_into_its_requests_and_unknown_propensities_are_refused():
    columns = {"user": [1, 1, 2, 1, 1, 1], "day": [0, 0, 0, 0, 1, 1], "step": [0, 0, 0, 1, 0, 0]}
    columns |= {"slot": [0, 1, 0, 0, 0, 1]}
    columns = {name: np.array(values) for name, values in columns.items()}
    log = log_of(**columns, propensity=np.full(6, 0.5))
    assert slates_of(log, np.ones(6), np.full(6, 0.25)).slate.tolist() == [0, 0, 1, 2, 3, 3]
    unknown = log_of(**columns, propensity=np.array([0.5, np.nan, 0.5, 0.5, np.nan, 0.5]))
    with pytest.raises(InvalidInput, match=r"propensity='?nan in row 1'?: must be in \(0, 1\]; 2 rows are not"):
        slates_of(unknown, np.ones(6), np.full(6, 0.25))


def test_what_no_recommender_showed_is_left_out_and_counted():
    columns = {"user": [1, 1, 1, 1, 1], "day": [-1, 0, 0, 1, 1], "step": [0, 0, 0, 0, 0], "slot": [0, 0, 1, 0, 1]}
    columns = {name: np.array(values) for name, values in columns.items()}
    propensity, source = np.array([np.nan, 0.5, 0.25, np.nan, np.nan]), np.array([PRIOR, PRODUCTION, AGENT, OWN, OWN])
    log = log_of(**columns, propensity=propensity, source=source)
    rows = slates_of(log, np.arange(5.0), np.full(5, 0.25))
    assert rows.reward.tolist() == [1, 2]
    assert rows.propensity.tolist() == [0.5, 0.25]
    assert rows.slate.tolist() == [1, 1]
    assert rows.left_out == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 4, 1, 5, 2, 3], "day 0, step 0, user 1, slot 1 in row 2'?: must not go backwards"),
        ([0, 1, 3, 2, 4, 5], "must not go backwards: sort the rows by day, step, user and slot; 1 of 6 rows"),
        ([0, 0, 1, 2, 3, 4], "day 0, step 0, user 1, slot 0 in row 1'?: must not stand twice.*1 of 6 rows"),
    ],
)
def test_rows_in_another_order_or_twice_are_no_slates(rows, message):
    """By day and step alone, users mixed: 2 users of 3 slots would be 6 slates."""
    user, slot = np.repeat([1, 2], 3), np.tile(np.arange(3), 2)
    log = log_of(user=user, day=np.zeros(6, int), step=np.zeros(6, int), slot=slot, propensity=np.full(6, 0.5))
    assert slates_of(log, np.ones(6), np.full(6, 0.25)).slate.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InvalidInput, match=message):
        slates_of(log.where(np.array(rows)), np.ones(6), np.full(6, 0.25))


def test_other_rows_are_refused():
    rows, single = rows_of(20, 2)
    with pytest.raises(InvalidInput, match="must be the 40 rows"):
        evaluate(rows, rows_of(10, 2)[1], LIMITS)
    assert support(rows, single, LIMITS).verdict == "worth only 40 rows of the policy's own"


def test_support_reports_actions_that_were_never_logged_and_impossible_ones():
    assert support(*rows_of(4000, 2, ratio=[0.5, 1.5]), LIMITS).verdict == ""
    unseen = support(*rows_of(4000, 2, ratio=[0.2, 0.4]), LIMITS)
    assert "is below 1: the policy shows what was never logged, or propensities are wrong" in unseen.verdict
    assert unseen.slots.mean_weight.value == pytest.approx(0.3, abs=0.01)
    assert unseen.slates.mean_weight.value == pytest.approx(0.09, abs=0.01)
    assert unseen.slates.rows == 4000
    rows, single = rows_of(4000, 2)
    wrong = LoggedActions(single.user, single.reward, single.propensity * 0.5, single.evaluated)
    actual = support(LoggedSlates(rows.user, rows.slate, rows.reward, wrong.propensity, rows.evaluated), wrong, LIMITS)
    assert "is above 1: propensities are not those of the logged actions" in actual.verdict


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(-5, 5)), max_size=30), st.integers(0, 10**9))
def test_sums_over_users_are_the_same_for_small_numbers_and_large(rows, far):
    user, value = np.array([u for u, _ in rows], np.int64), np.array([v for _, v in rows], np.float64)
    near, away = per_user(user, value, value**2), per_user(user + far, value, value**2)
    for one, other in zip(near, away, strict=True):
        assert one == pytest.approx(other)
    assert len(near[0]) == len(set(user.tolist()))
