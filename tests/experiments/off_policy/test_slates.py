"""Estimators for slates: against obp's, and where each one's assumption holds or fails."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.off_policy.slates import (
    LoggedSlates,
    cumulative_products,
    independent_ips,
    pseudo_inverse,
    reward_interaction_ips,
    standard_ips,
)
from sim.errors import InvalidInput
from sim.random import RandomStream

GOLDEN = json.loads((Path(__file__).parent / "obp_golden.json").read_text())["slates"]
ESTIMATORS = {
    "standard": standard_ips,
    "independent": independent_ips,
    "reward_interaction": reward_interaction_ips,
    "pseudo_inverse": pseudo_inverse,
}


@pytest.mark.parametrize("name", GOLDEN["values"])
def test_values_are_obps(name):
    inputs = {key: np.array(values) for key, values in GOLDEN["inputs"].items()}
    rows = LoggedSlates(inputs["slate"], **inputs)
    # obp gives the mean over slates of the sum over slots, too.
    assert ESTIMATORS[name](rows).value == pytest.approx(GOLDEN["values"][name], abs=1e-8)


SLOTS, ITEMS = 2, 3
LOGGING, POLICY = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]), np.array([[0.2, 0.2, 0.6], [0.6, 0.3, 0.1]])


def means_of(kind, items):
    """Mean reward of each slot of slates (m, 2): of the item alone, after what stood above, or of the whole slate."""
    own = np.array([0.2, 0.4, 0.7])[items]
    if kind == "alone":
        return own
    if kind == "cascade":  # who liked the first item likes the second less
        return np.stack([own[:, 0], own[:, 1] * (1 - 0.8 * own[:, 0])], axis=1)
    return np.repeat((items[:, :1] == items[:, 1:]) * 0.8 + 0.1, SLOTS, axis=1)  # two alike: pleased with both


def value_of(kind, policy):
    items = np.stack(np.meshgrid(range(ITEMS), range(ITEMS), indexing="ij"), axis=-1).reshape(-1, SLOTS)
    weight = policy[0][items[:, 0]] * policy[1][items[:, 1]]
    return float(weight @ means_of(kind, items).sum(axis=1))


def drawn(kind, number, users=400):
    rng = RandomStream(number, kind).generator()
    items = np.stack([rng.choice(ITEMS, users, p=LOGGING[slot]) for slot in range(SLOTS)], axis=1)
    reward = rng.random((users, SLOTS)) < means_of(kind, items)
    p, e = (np.stack([policy[slot][items[:, slot]] for slot in range(SLOTS)], axis=1) for policy in (LOGGING, POLICY))
    slate = np.repeat(np.arange(users), SLOTS)
    return LoggedSlates(slate, slate, reward.ravel(), p.ravel(), e.ravel())


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("alone", ("standard", "independent", "reward_interaction", "pseudo_inverse")),
        ("cascade", ("standard", "reward_interaction")),
        ("whole", ("standard",)),
    ],
)
def test_an_estimator_covers_the_truth_where_its_assumption_holds_and_not_where_it_fails(kind, right):
    truth, logs = value_of(kind, POLICY), [drawn(kind, number) for number in range(250)]
    for name, estimator in ESTIMATORS.items():
        actual = [estimator(log) for log in logs]
        mean, error = np.mean([f.value for f in actual]), np.std([f.value for f in actual]) / 250**0.5
        if name in right:
            assert abs(mean - truth) < 4 * error, name
            assert 0.90 <= np.mean([f.low <= truth <= f.high for f in actual]) <= 0.99, name
        elif kind == "cascade":
            assert abs(mean - truth) > 4 * error, name


def test_the_more_is_assumed_the_less_chance_there_is():
    logs = [drawn("alone", number) for number in range(100)]
    spread = {name: np.std([estimator(log).value for log in logs]) for name, estimator in ESTIMATORS.items()}
    assert spread["independent"] < spread["reward_interaction"] < spread["standard"]


def test_products_go_down_the_slate_and_a_zero_stays_one():
    rows = LoggedSlates(
        np.zeros(5, int), np.array([3, 3, 3, 7, 7]), np.ones(5), np.full(5, 0.5), np.array([0.25, 0.0, 0.5, 0.5, 1.0])
    )
    assert cumulative_products(rows).tolist() == [0.5, 0.0, 0.0, 1.0, 2.0]
    assert rows.first.tolist() == [0, 3]


def test_slates_may_be_of_any_length_and_none_at_all():
    nothing = LoggedSlates(*(np.empty(0) for _ in range(5)))
    assert all(estimator(nothing).value is None for estimator in ESTIMATORS.values())
    one = LoggedSlates(np.zeros(1), np.zeros(1), np.array([2.0]), np.array([0.5]), np.array([0.25]))
    assert {estimator(one).value for estimator in ESTIMATORS.values()} == {1.0}


def test_slates_out_of_order_are_refused():
    with pytest.raises(InvalidInput, match="must ascend"):
        LoggedSlates(np.zeros(2), np.array([1, 0]), np.ones(2), np.ones(2), np.ones(2))
