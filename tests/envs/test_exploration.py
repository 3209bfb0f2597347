from dataclasses import replace
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics

import envs  # noqa: F401 - registers the environment
from envs.config import world_config
from envs.exploration import ExplorationEnv
from sim.errors import InvalidInput

ID = "interestlab/Exploration-v0"
TINY = world_config("tiny")
# Everybody comes nearly every day, and stays long.
LIVELY = replace(
    TINY,
    population=replace(TINY.population, activity_mean=4.0, activity_sd=0.0),
    response=replace(TINY.response, leave_boredom=0.0),
)


def play(env, seed=None, policy=lambda observation: np.arange(10), limit=1000):
    """All transitions of an episode."""
    observation, info = env.reset(seed=seed)
    steps = []
    for _ in range(limit):
        action = policy(observation)
        before, (observation, reward, terminated, truncated, info) = observation, env.step(action)
        steps.append((before, action, reward, terminated, truncated, info))
        if truncated or terminated:
            return steps, observation
    raise AssertionError("the episode does not end")


@pytest.mark.filterwarnings("error")
def test_gymnasium_finds_nothing_wrong():
    check_env(gym.make(ID, world=LIVELY, user=3).unwrapped)


def test_the_id_is_registered_for_both_faces():
    assert isinstance(gym.make(ID).unwrapped, ExplorationEnv)
    assert gym.make_vec(ID, num_envs=2).unwrapped.__class__.__name__ == "ExplorationVectorEnv"


@pytest.mark.parametrize("user", range(8))
def test_an_episode_ends_by_the_time_limit_and_stays_in_its_spaces(user):
    env = ExplorationEnv(LIVELY, user=user, days=3)
    steps, last = play(env, seed=11)
    days = [int(s[0]["day"][0]) for s in steps]
    assert days == sorted(days)
    assert all(s[0] in env.observation_space for s in steps)
    assert last in env.observation_space
    assert last["day"][0] == 3
    assert max(days) < 3
    assert [s[4] for s in steps] == [False] * (len(steps) - 1) + [True]
    assert not any(s[3] for s in steps)


def test_the_reward_is_the_minutes_watched():
    steps, _ = play(ExplorationEnv(LIVELY, user=1), seed=5)
    assert len(steps) > 3
    for _, _, reward, _, _, info in steps:
        assert reward == pytest.approx(info["watch_seconds"].sum() / 60)
        assert info["watch_seconds"][~info["examined"]].sum() == 0
    assert sum(s[2] for s in steps) > 0


def test_minutes_today_add_up_the_rewards_of_the_day():
    steps, _ = play(ExplorationEnv(LIVELY, user=1), seed=5)
    for before, after in pairwise(steps):
        expected = before[0]["minutes_today"][0] + before[2] if before[0]["day"] == after[0]["day"] else 0
        assert after[0]["minutes_today"][0] == pytest.approx(expected, rel=1e-5)


def test_the_history_is_what_was_consumed_most_recent_last():
    steps, last = play(ExplorationEnv(LIVELY, user=1), seed=5)
    consumed, fractions = [], []
    for observation, _, _, _, _, info in steps:
        assert [c for c in observation["history_cluster"] if c >= 0] == consumed[-200:]
        consumed += info["clusters"][info["consumed"]].tolist()
        fractions += info["watch_fraction"][info["consumed"]].tolist()
    assert len(consumed) > 10
    assert [c for c in last["history_cluster"] if c >= 0] == consumed[-200:]
    np.testing.assert_array_equal(last["history_watch"][last["history_cluster"] >= 0], fractions[-200:])


def test_the_slate_is_made_of_the_candidates_named():
    env = ExplorationEnv(LIVELY, user=1)
    observation, _ = env.reset(seed=5)
    action = np.array([7, 7, 3, 99, 0, 1, 2, 4, 5, 6])
    _, _, _, _, info = env.step(action)
    assert info["repeated"] == 1
    expected = observation["candidate_cluster"][[7, 8, 3, 99, 0, 1, 2, 4, 5, 6]]  # 8 is the first not named
    np.testing.assert_array_equal(info["clusters"], expected)
    assert len(set(info["items"].tolist())) == 10


def test_what_was_shown_recently_is_no_candidate():
    env = ExplorationEnv(LIVELY, user=1)
    steps, _ = play(env, seed=5)
    shown = np.concatenate([s[5]["items"][s[5]["examined"]] for s in steps])
    assert len(shown) > 100
    for end in range(100, len(shown) + 1):  # world.platform.seen_length is 100
        assert len(set(shown[end - 100 : end].tolist())) == 100


def test_a_day_ends_after_the_most_requests_that_a_user_can_make():
    endless = replace(
        LIVELY,
        response=replace(LIVELY.response, leave_intercept=-20.0, leave_minutes=0.0),
        platform=replace(TINY.platform, max_requests_per_day=3),
    )
    steps, _ = play(ExplorationEnv(endless, user=1, days=4), seed=5)
    days, requests = np.unique([s[0]["day"][0] for s in steps], return_counts=True)
    assert len(days) >= 3
    assert (requests == 3).all()
    assert not any(s[5]["left"] for s in steps)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_seed_names_the_random_stream():
    env = ExplorationEnv(TINY, user=2)
    first, _ = env.reset(seed=1)
    following, _ = env.reset()
    again, _ = env.reset(seed=1)
    other, _ = env.reset(seed=2)
    assert same(first, again)
    assert same(following, env.reset(seed=1) and env.reset()[0])
    assert not same(first, following)
    assert not same(first, other)


def test_episodes_do_not_remember_each_other_nor_touch_global_randomness():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point of the test
    env = ExplorationEnv(TINY, user=2)
    first, _ = play(env, seed=1)
    play(ExplorationEnv(TINY, user=3), seed=4)
    again, _ = play(env, seed=1)
    assert [s[2] for s in first] == [s[2] for s in again]
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_world_seed_names_the_world():
    one, _ = ExplorationEnv(TINY, world_seed=0).reset(seed=1)
    other, _ = ExplorationEnv(TINY, world_seed=1).reset(seed=1)
    assert not np.array_equal(one["candidate_embedding"], other["candidate_embedding"])


def test_gymnasiums_wrappers_fit():
    env = FlattenObservation(RecordEpisodeStatistics(gym.make(ID, world=LIVELY, user=1, days=2)))
    observation, _ = env.reset(seed=5)
    plain, _ = ExplorationEnv(LIVELY, user=1, days=2).reset(seed=5)
    assert observation.shape == (2 + 3 * 200 + 100 * (1 + 1 + 256),)
    assert sorted(observation.tolist()) == sorted(np.concatenate([v.ravel() for v in plain.values()]).tolist())
    total, truncated = 0.0, False
    while not truncated:
        observation, reward, _, truncated, info = env.step(np.arange(10))
        assert env.observation_space.contains(observation)
        total += reward
    assert info["episode"]["r"] == pytest.approx(total)
    assert total > 0


def test_nothing_latent_is_in_info():
    public = {
        "examined", "consumed", "positive", "liked", "disliked", "watch_seconds", "watch_fraction", "survey", "items",
        "clusters", "left", "repeated", "waiting",
    }  # fmt: skip
    env = ExplorationEnv(LIVELY)
    _, at_reset = env.reset(seed=0)
    assert set(at_reset) == {"waiting"}
    assert set(env.step(np.arange(10))[4]) == public


def test_a_user_who_never_comes_is_truncated_at_the_first_step():
    nobody = replace(TINY, population=replace(TINY.population, activity_mean=-6.0, activity_sd=0.0))
    env = ExplorationEnv(nobody, days=1)
    seed = next(s for s in range(100) if env.reset(seed=s)[1]["waiting"])  # comes one day in 400
    observation, _ = env.reset(seed=seed)
    assert observation in env.observation_space
    _, reward, terminated, truncated, _ = env.step(np.arange(10))
    assert (reward, terminated, truncated) == (0.0, False, True)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": 150}, "user"),
        ({"user": -1}, "user"),
        ({"days": 0}, "days"),
        ({"num_slots": 0}, "num_slots"),
        ({"num_candidates": 9}, "num_candidates"),
        ({"world": "none"}, "world"),
    ],
)
def test_impossible_arguments_are_named(arguments, field):
    with pytest.raises(InvalidInput) as error:
        ExplorationEnv(**arguments)
    assert error.value.field == field


@pytest.mark.parametrize("action", [np.full(10, 100), np.full(10, -1), np.arange(9), np.linspace(0, 9, 10)])
def test_an_action_out_of_the_space_is_refused(action):
    env = ExplorationEnv(LIVELY, user=1)
    env.reset(seed=5)
    with pytest.raises(InvalidInput, match="action"):
        env.step(action)


def test_stepping_before_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded):
        ExplorationEnv(TINY).step(np.arange(10))
