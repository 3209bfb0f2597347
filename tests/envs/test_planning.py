import warnings
from dataclasses import replace
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics

import envs  # noqa: F401 - registers the environment
from envs.config import world_config
from envs.life import LifeSettings, standing_world
from envs.planning import ClusterPlanningEnv, PlanLife
from sim.errors import InvalidInput

ID = "interestlab/ClusterPlanning-v0"
TINY = world_config("tiny")
NUM_CLUSTERS = TINY.clusters.level_2
# Everybody comes nearly every day, and stays long.
LIVELY = replace(
    TINY,
    population=replace(TINY.population, activity_mean=4.0, activity_sd=0.0),
    response=replace(TINY.response, leave_boredom=0.0),
)


def play(env, seed, plan):
    """All transitions of an episode; ``plan`` takes the number of the step."""
    observation, _ = env.reset(seed=seed)
    steps = []
    while True:
        action = plan(len(steps))
        before, (observation, reward, terminated, truncated, info) = observation, env.step(action)
        assert not terminated
        steps.append((before, action, reward, info))
        if truncated:
            return steps, observation


def around(step):
    return step % NUM_CLUSTERS


@pytest.mark.filterwarnings("error")
def test_gymnasium_finds_nothing_wrong():
    check_env(gym.make(ID, world=LIVELY).unwrapped)


def test_stable_baselines_finds_nothing_wrong():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(gym.make(ID, world=LIVELY))


def test_a_slate_is_of_the_planned_cluster_and_never_shows_an_item_again_soon():
    steps, last = play(ClusterPlanningEnv(LIVELY, user=3), 5, around)
    assert len(steps) > 30
    for before, action, reward, info in steps:
        assert before in ClusterPlanningEnv(LIVELY).observation_space
        assert info["planned"] == action
        assert info["filled"] == (info["clusters"] != action).sum() == 0
        assert len(set(info["items"].tolist())) == 5
        assert reward == pytest.approx(info["watch_seconds"].sum() / 60)
    assert last["day"][0] == 1
    shown = np.concatenate([info["items"][info["examined"]] for *_, info in steps])
    for end in range(100, len(shown) + 1):  # world.platform.seen_length is 100
        assert len(set(shown[end - 100 : end].tolist())) == 100


def test_an_exhausted_cluster_gets_the_nearest_others():
    env = ClusterPlanningEnv(LIVELY, user=3)
    steps, _ = play(env, 5, lambda step: 7)
    clusters = standing_world(LIVELY, 0).records.clusters
    leaves = [clusters.centroid[clusters.path[:, 1] == c].mean(axis=0) for c in range(NUM_CLUSTERS)]
    centres = np.stack([c / np.linalg.norm(c) for c in leaves])
    near = np.argsort(-centres @ centres[7])
    filled = [info["filled"] for *_, info in steps]
    assert filled[0] == 0
    assert max(filled) == 5
    assert all(info["filled"] == (info["clusters"] != 7).sum() for *_, info in steps)
    others = np.concatenate([info["clusters"][info["clusters"] != 7] for *_, info in steps])
    # Most of what fills comes from the six clusters whose centres are nearest, of 35.
    assert np.isin(others, near[1:7]).mean() > 0.8


def test_the_observation_is_the_tally_of_what_was_seen():
    steps, last = play(ClusterPlanningEnv(LIVELY, user=1), 5, lambda step: step * 5 % 11)
    shown, positive, seconds = np.zeros((3, NUM_CLUSTERS))
    recent, last_day = np.zeros(NUM_CLUSTERS), np.full(NUM_CLUSTERS, -1)
    observations = [s[0] for s in steps] + [last]
    for (before, after), (*_, info) in zip(pairwise(observations), steps, strict=True):
        day, next_day = round(before["day"][0] * 7), round(after["day"][0] * 7)
        for i in np.flatnonzero(info["examined"]):
            cluster = info["clusters"][i]
            shown[cluster] += 1
            positive[cluster] += info["positive"][i]
            seconds[cluster] += info["watch_seconds"][i]
            recent[cluster] += info["consumed"][i]
            last_day[cluster] = day
        recent /= 2 ** (next_day - day)
        expected = {
            "shown": shown / (shown + 10),
            "positive_share": (positive + 1) / (shown + 4),
            "minutes_share": np.divide(seconds / 10, seconds / 10 + shown, out=np.zeros_like(shown), where=shown > 0),
            "recently_consumed": recent / (recent + 5),
            "idle": np.where(last_day < 0, 1, (next_day - last_day) / 7),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(after[name], values, atol=1e-6, err_msg=name)
        if next_day == day:
            assert after["request"][0] == pytest.approx(before["request"][0] + 1 / 12)
            spent = (
                10 * before["minutes_today"][0] / (1 - before["minutes_today"][0]) + info["watch_seconds"].sum() / 60
            )
            assert after["minutes_today"][0] == pytest.approx(spent / (spent + 10), rel=1e-4)
        else:
            assert after["request"][0] == after["minutes_today"][0] == 0
    assert len(set(np.flatnonzero(shown))) == 11


def test_everybody_is_drawn_and_the_seed_says_who():
    env = ClusterPlanningEnv(TINY)
    _, first = env.reset(seed=0)
    drawn = [env.reset()[1]["user"] for _ in range(300)]
    assert env.reset(seed=0)[1]["user"] == first["user"]
    # 300 draws from 150 meet 150 (1 - e**-2) = 130 of them, with a standard deviation of 4.
    assert 110 < len(set(drawn)) < 150
    some = ClusterPlanningEnv(TINY, user=[5, 9])
    counts = np.bincount([some.reset(seed=s)[1]["user"] for s in range(400)], minlength=10)
    assert counts[5] + counts[9] == 400
    assert abs(counts[5] - 200) < 50  # five standard deviations of 10


def test_a_users_life_is_the_same_whoever_else_could_have_been_drawn():
    everybody = ClusterPlanningEnv(TINY)
    _, info = everybody.reset(seed=3)
    drawn, _ = play(everybody, 3, around)
    alone, _ = play(ClusterPlanningEnv(TINY, user=info["user"]), 3, around)
    assert [s[2] for s in drawn] == [s[2] for s in alone]
    assert sum(s[2] for s in drawn) > 0


def test_many_users_in_lock_step_live_the_lives_that_each_lives_alone():
    settings = LifeSettings(TINY, 0, 4, 5)

    def lived(users):
        life = PlanLife(settings, users, 8)
        earned = [[] for _ in users]
        while not life.over:
            plan = np.round(life.observation["shown"].sum(axis=1) * 7).astype(int) % NUM_CLUSTERS
            outcome = life.step(plan)
            for row in np.flatnonzero(outcome.acted):
                earned[row].append((outcome.minutes[row], plan[row], outcome.info["items"][row].tolist()))
        return earned

    together = lived(np.arange(12))
    assert sum(map(len, together)) > 60
    for user in range(12):
        assert lived(np.array([user])) == [together[user]]


def test_nothing_latent_is_in_info():
    public = {
        "examined", "consumed", "positive", "liked", "disliked", "watch_seconds", "watch_fraction", "survey", "items",
        "clusters", "left", "planned", "filled", "waiting",
    }  # fmt: skip
    env = ClusterPlanningEnv(LIVELY, user=3)
    assert set(env.reset(seed=0)[1]) == {"waiting", "user"}
    assert set(env.step(0)[4]) == public


def test_gymnasiums_wrappers_fit():
    env = FlattenObservation(RecordEpisodeStatistics(gym.make(ID, world=LIVELY, user=3, days=2)))
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3 + 5 * NUM_CLUSTERS,)
    assert observation.dtype == np.float32
    total, truncated = 0.0, False
    while not truncated:
        observation, reward, _, truncated, info = env.step(1)
        assert env.observation_space.contains(observation)
        total += reward
    assert info["episode"]["r"] == pytest.approx(total)
    assert total > 0


def test_several_run_side_by_side_as_gymnasium_makes_them():
    env = gym.make_vec(ID, num_envs=3, user=2, days=1, world=LIVELY)
    observation, info = env.reset(seed=4)
    one, _ = ClusterPlanningEnv(LIVELY, user=2, days=1).reset(seed=5)
    assert info["user"].tolist() == [2, 2, 2]
    for name in one:
        np.testing.assert_array_equal(observation[name][1], one[name])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": 150}, "user"),
        ({"user": [3, -1]}, "user"),
        ({"user": []}, "user"),
        ({"days": 0}, "days"),
        ({"num_slots": 0}, "num_slots"),
        ({"world": "none"}, "world"),
    ],
)
def test_impossible_arguments_are_named(arguments, field):
    with pytest.raises(InvalidInput) as error:
        ClusterPlanningEnv(**arguments)
    assert error.value.field == field


@pytest.mark.parametrize("action", [NUM_CLUSTERS, -1, 0.5, [1]])
def test_an_action_out_of_the_space_is_refused(action):
    env = ClusterPlanningEnv(LIVELY, user=3)
    env.reset(seed=5)
    with pytest.raises(InvalidInput, match="action"):
        env.step(action)
