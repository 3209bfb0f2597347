"""Collaborative planners: closed forms by hand and by another way, batches, what they learn from a planted log."""

import numpy as np
import pytest
from scipy.optimize import minimize

from agents.collaborative_planners import EasePlanner, UserNeighboursPlanner
from sim.errors import InvalidInput
from sim.log import InteractionLog
from tests.agents.planted import STREAM, loyal, make_log, planted

BOTH = pytest.mark.parametrize("make", [EasePlanner, UserNeighboursPlanner])


def likes(*profiles, times=1):
    """A log in which user i likes one item of each cluster of their profile, ``times`` times."""
    user = np.repeat(np.arange(len(profiles)), [times * len(p) for p in profiles])
    cluster = np.concatenate([np.tile(p, times) for p in profiles]).astype(int)
    return make_log(user, cluster + 8, cluster, np.zeros(len(user), int))


def trained(planner, log, num_users=6):
    world = planted(loyal(), num_users=num_users, days=0)
    world.records.mark_consumed(log.user, log.cluster)
    planner.fit(world.platform, log, STREAM)
    return world


def test_ease_weights_are_those_that_fit_best():
    """The closed form against minimising its loss numerically."""
    rng = np.random.default_rng(0)
    x = (rng.random((6, 8)) < 0.4).astype(float)
    planner = EasePlanner(l2=2.0)
    trained(planner, likes(*[np.flatnonzero(row) for row in x]))
    free = ~np.eye(8, dtype=bool)

    def loss(values):
        weights = np.zeros((8, 8))
        weights[free] = values
        miss = x - x @ weights
        gradient = -2 * x.T @ miss + 4.0 * weights
        return (miss**2).sum() + 2.0 * (weights**2).sum(), gradient[free]

    best = minimize(loss, np.zeros(56), jac=True, options={"gtol": 1e-10})
    np.testing.assert_allclose(planner._weights[free], best.x, atol=1e-6)
    np.testing.assert_allclose(planner.scores(np.arange(6)), x @ planner._weights, atol=1e-12)


def test_neighbours_scores_by_hand():
    planner = UserNeighboursPlanner(neighbours=2)
    trained(planner, likes([0, 1], [0, 1, 2], [0, 3], [4, 5]))
    score = planner.scores(np.array([0]))[0]
    near, far = 2 / np.sqrt(6), 1 / 2  # users 1 and 2; user 3 has nothing in common
    np.testing.assert_allclose(score[[0, 1, 2, 3]], [near + far, near, near, far], atol=1e-9)
    assert score[4:].tolist() == [0, 0, 0, 0]


@BOTH
def test_plans_what_people_of_like_taste_like(make):
    planner = make()
    world = trained(planner, likes([0, 1, 2], [0, 1, 2], [0, 1, 2], [4, 5], [4, 5], [0, 1]))
    plan = planner.propose(world.requests(2), STREAM)
    assert plan[5, 0] == 2
    assert plan.shape == (6, 2)
    consumed = world.platform.consumed_clusters(np.arange(6))
    assert not consumed[np.arange(6)[:, None], plan].any()  # there are novel clusters enough


@BOTH
def test_a_profile_needs_as_many_positives_as_asked(make):
    log = InteractionLog.concatenate([likes([0, 1], [0, 1], [0], times=2), likes([], [], [], [3, 4], [3, 4], [3])])
    planner = make(min_positives=2)
    trained(planner, log)
    score = planner.scores(np.arange(6))
    assert score[2, 1] > 0
    assert (score[5] == 0).all()


@BOTH
def test_who_is_asked_about_together_and_how_many_at_a_time_changes_nothing(make, monkeypatch):
    rng = np.random.default_rng(1)
    planner = make()
    profiles = [np.flatnonzero(rng.random(8) < 0.4) for _ in range(40)]
    world = trained(planner, likes(*profiles), num_users=40)
    requests = world.requests(3)
    plan = planner.propose(requests, STREAM)
    alone = [planner.propose(requests.where(slice(i, i + 1)), STREAM)[0] for i in range(40)]
    assert np.array_equal(plan, alone)
    monkeypatch.setattr("agents.collaborative_planners._CELLS", 100)
    assert np.array_equal(plan, planner.propose(requests, STREAM))


@BOTH
def test_days_one_by_one_and_saved_in_between_are_the_same_as_all_at_once(make, tmp_path):
    log, later = likes([0, 1, 2], [0, 1], [4, 5]), likes([3], [2], [6, 7], [0, 1])
    whole, daily = make(), make()
    trained(whole, InteractionLog.concatenate([log, later]))
    world = trained(daily, log)
    daily.save(tmp_path)
    read = make()
    read.load(tmp_path, world.platform)
    read.update(later, STREAM)
    assert np.array_equal(whole.scores(np.arange(6)), read.scores(np.arange(6)))
    assert np.array_equal(whole._count, read._count)


@BOTH
def test_without_a_log_plans_are_random_and_novel(make):
    planner = make()
    world = trained(planner, InteractionLog.concatenate([]))
    plans = [planner.propose(world.requests(2), STREAM.at("call", call))[0, 0] for call in range(300)]
    assert len(set(plans)) == 8


WRONG = [
    lambda: EasePlanner(l2=0.0),
    lambda: EasePlanner(min_positives=0),
    lambda: UserNeighboursPlanner(neighbours=0),
]


@pytest.mark.parametrize("bad", WRONG)
def test_bad_settings_are_refused(bad):
    with pytest.raises(InvalidInput, match=r"must be"):
        bad()
