import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from agents.linucb import RidgeRegressions, read_state, rounds
from sim.errors import InvalidInput


def learned(num, which, features, reward):
    models = RidgeRegressions(num, features.shape[1])
    for rows in rounds(which):
        models.observe(which[rows], features[rows], reward[rows])
    return models


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), num=st.integers(1, 6), width=st.integers(1, 20), count=st.integers(0, 400))
def test_rank_one_updates_are_ridge_regression(seed, num, width, count):
    rng = np.random.default_rng(seed)
    which = rng.integers(0, num, count)
    features = rng.normal(size=(count, width)) * rng.choice([0.01, 1.0, 10.0])
    reward = rng.integers(0, 2, count).astype(float)
    models = learned(num, which, features, reward)
    point = rng.normal(size=(3, width))
    bounds = models.bounds(np.arange(num), point, alpha=0.5)
    for p in range(num):
        mine = which == p
        gram = np.eye(width) + features[mine].T @ features[mine]
        theta = np.linalg.solve(gram, features[mine].T @ reward[mine])
        spread = np.einsum("ci,ci->c", point, np.linalg.solve(gram, point.T).T)
        assert models.weights(np.array([p]))[0] == pytest.approx(theta, abs=1e-6)
        assert bounds[p] == pytest.approx(point @ theta + 0.5 * np.sqrt(spread), abs=1e-6)


def test_forty_thousand_updates_do_not_drift():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(40_000, 17))
    features[:, -1] = 1
    features[:, 0] *= 1e-3  # badly conditioned: this direction is hardly ever seen
    reward = (rng.random(40_000) < 0.3).astype(float)
    models = learned(1, np.zeros(40_000, np.int64), features, reward)
    gram = np.eye(17) + features.T @ features
    assert models.weights(np.array([0]))[0] == pytest.approx(np.linalg.solve(gram, features.T @ reward), abs=1e-6)
    assert models.inverse[0] == pytest.approx(np.linalg.inv(gram), abs=1e-6)
    assert (models.inverse[0] == models.inverse[0].T).all()


def test_a_block_is_as_good_as_one_by_one():
    rng = np.random.default_rng(4)
    features, reward = rng.normal(size=(70_000, 5)), rng.random(70_000)
    one_by_one = learned(1, np.zeros(3000, np.int64), features[:3000], reward[:3000])
    block = RidgeRegressions(1, 5)
    block.observe_block(0, features[:1000], reward[:1000])
    block.observe_block(0, features[1000:3000], reward[1000:3000])
    assert block.inverse == pytest.approx(one_by_one.inverse, abs=1e-10)
    assert block.weights(np.array([0])) == pytest.approx(one_by_one.weights(np.array([0])), abs=1e-10)
    block.observe_block(0, features[3000:], reward[3000:])  # more than fits into one piece
    gram = np.eye(5) + features.T @ features
    assert block.weights(np.array([0]))[0] == pytest.approx(np.linalg.solve(gram, features.T @ reward), abs=1e-10)


def test_rows_do_not_depend_on_the_batch():
    """Neither the order of users, nor days of other length, change a bit of what a user's bandit knows."""
    rng = np.random.default_rng(5)
    which, features, reward = rng.integers(0, 9, 500), rng.normal(size=(500, 6)), rng.random(500)
    together = learned(9, which, features, reward)
    shuffled = np.argsort(rng.permutation(9)[which], kind="stable")  # users in another order, times kept
    apart = learned(9, which[shuffled], features[shuffled], reward[shuffled])
    alone = learned(9, which[which == 4], features[which == 4], reward[which == 4])
    for other in (apart, alone):
        assert (other.inverse[4] == together.inverse[4]).all()
        assert (other.moment[4] == together.moment[4]).all()
    points = rng.normal(size=(40, 6))
    everyone = together.bounds(np.arange(9), points, 0.5)
    for user in range(9):
        assert (together.bounds(np.array([user]), points, 0.5)[0] == everyone[user]).all()


@given(which=st.lists(st.integers(0, 5), max_size=40))
def test_rounds_hold_every_row_once_in_order_and_no_regression_twice(which):
    which = np.array(which, np.int64)
    parts = list(rounds(which))
    assert sorted(np.concatenate(parts).tolist() if parts else []) == list(range(len(which)))
    assert len(parts) == np.bincount(which).max(initial=0)
    for rows in parts:
        assert (np.diff(which[rows]) > 0).all()
    for p in set(which.tolist()):
        mine = [row for rows in parts for row in rows if which[row] == p]
        assert mine == sorted(mine)


def play(choose, theta, arms, steps, rng):
    """Let users play a linear bandit; (steps,) mean regret of each step."""
    models = RidgeRegressions(len(theta), arms.shape[1])
    users = np.arange(len(theta))
    expected = theta @ arms.T  # (N, C)
    regret = np.empty(steps)
    for step in range(steps):
        chosen = choose(models, users, rng)
        regret[step] = (expected.max(axis=1) - expected[users, chosen]).mean()
        reward = (rng.random(len(users)) < expected[users, chosen]).astype(float)
        models.observe(users, arms[chosen], reward)
    return regret


def test_regret_on_a_linear_bandit_is_near_the_optimum_and_below_the_alternatives():
    rng = np.random.default_rng(6)
    theta = rng.dirichlet(np.ones(5) / 2, size=200)  # rewards are probabilities: convex combinations
    arms = rng.random((20, 5))

    def by_bound(models, users, rng):
        return models.bounds(users, arms, alpha=0.5).argmax(axis=1)

    def by_epsilon(models, users, rng):
        greedy = models.bounds(users, arms, alpha=0.0).argmax(axis=1)
        return np.where(rng.random(len(users)) < 0.1, rng.integers(0, 20, len(users)), greedy)

    def by_chance(models, users, rng):
        return rng.integers(0, 20, len(users))

    regret = {choose.__name__: play(choose, theta, arms, 600, rng) for choose in (by_bound, by_epsilon, by_chance)}
    assert regret["by_bound"].sum() < 0.8 * regret["by_epsilon"].sum()
    assert regret["by_bound"].sum() < 0.25 * regret["by_chance"].sum()
    optimum = (theta @ arms.T).max(axis=1).mean()
    assert regret["by_bound"][-100:].mean() < 0.05 * optimum


def test_what_is_saved_must_fit(tmp_path):
    with pytest.raises(InvalidInput, match="safetensors"):
        read_state(tmp_path / "missing", {})
    save_file(RidgeRegressions(3, 4).state("users"), tmp_path / "bandit")
    shapes = {"users.inverse": (3, 4, 4), "users.moment": (3, 4)}
    assert {name: array.shape for name, array in read_state(tmp_path / "bandit", shapes).items()} == shapes
    with pytest.raises(InvalidInput, match="configuration"):
        read_state(tmp_path / "bandit", shapes | {"users.moment": (3, 5)})
