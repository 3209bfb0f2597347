import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import FlattenObservation, RecordEpisodeStatistics

import envs  # noqa: F401 - registers the environment
from envs.exploration import ExplorationEnv
from envs.vector import ExplorationVectorEnv
from sim.errors import InvalidInput

ID = "interestlab/Exploration-v0"
NUM, DAYS = 14, 5


def policy(observation):
    """Slates (B, S) that depend on everything observed, with some repeated positions."""
    score = observation["candidate_embedding"][..., :4].sum(axis=-1) + observation["candidate_length"] / 100
    score = score + np.sin(observation["candidate_cluster"] * observation["history_watch"].sum(axis=-1)[:, None])
    score = score + observation["history_cluster"].sum(axis=-1)[:, None] % 7 * observation["candidate_length"] / 50
    action = np.argsort(-score, axis=1, kind="stable")[:, :10]
    action[:, 9] = action[:, observation["day"][0, 0] % 9]
    return action


def rows_of(observation, i):
    return {name: values[i] for name, values in observation.items()}


def vector_transitions(seed):
    """Per user: (observation, action, reward, feedback) of requests; and the final observations."""
    env = gym.make_vec(ID, num_envs=NUM, world="tiny", days=DAYS)
    observation, info = env.reset(seed=seed)
    requests = [[] for _ in range(NUM)]
    while True:
        action, waiting, before = policy(observation), info["waiting"], observation
        observation, reward, _, truncated, info = env.step(action)
        for i in range(NUM):
            if not waiting[i]:
                requests[i].append((rows_of(before, i), action[i], reward[i], rows_of(info, i)))
            else:
                assert reward[i] == 0
        if truncated.any():
            assert truncated.all()
            return requests, observation


def test_each_user_lives_exactly_the_life_of_the_scalar_environment():
    requests, final = vector_transitions(seed=3)
    assert sum(map(len, requests)) > 60
    for i in range(NUM):
        scalar = ExplorationEnv(world="tiny", user=i, days=DAYS)
        observation, info = scalar.reset(seed=3)
        assert info["waiting"] == (not requests[i])
        for j, (before, action, reward, feedback) in enumerate(requests[i]):
            assert observation.keys() == before.keys()
            for name in before:
                np.testing.assert_array_equal(observation[name], before[name], err_msg=f"{name} of user {i}, {j}")
                assert observation[name].dtype == before[name].dtype
            observation, scalar_reward, terminated, truncated, scalar_info = scalar.step(action)
            assert scalar_reward == reward
            assert not terminated
            assert truncated == (j == len(requests[i]) - 1)
            for name in scalar_info.keys() - {"waiting"}:
                np.testing.assert_array_equal(scalar_info[name], feedback[name])
        for name in observation:
            np.testing.assert_array_equal(observation[name], final[name][i])


def test_waiting_rows_keep_their_observation_and_ignore_their_action():
    env = ExplorationVectorEnv(NUM, days=DAYS)
    other = ExplorationVectorEnv(NUM, days=DAYS)
    observation, info = env.reset(seed=0)
    other.reset(seed=0)
    waited = 0
    while True:
        waiting, before, action = info["waiting"], observation, policy(observation)
        disturbed = np.where(waiting[:, None], -5, action)
        observation, reward, _, truncated, info = env.step(action)
        other_observation, other_reward, *_ = other.step(disturbed)
        np.testing.assert_array_equal(reward, other_reward)
        np.testing.assert_array_equal(observation["history_cluster"], other_observation["history_cluster"])
        np.testing.assert_array_equal(info["_examined"], ~waiting)
        assert not info["examined"][waiting].any()
        if truncated.all():
            break
        still = waiting & info["waiting"]
        waited += still.sum()
        for name in observation:
            np.testing.assert_array_equal(observation[name][still], before[name][still])
    assert waited > 0
    assert info["waiting"].all()


def test_the_step_after_the_end_resets_and_ignores_its_actions():
    env = ExplorationVectorEnv(4, days=12)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = env.reset(seed=8)
    truncated = np.zeros(4, bool)
    while not truncated.any():
        observation, _, _, truncated, _ = env.step(policy(observation))
    assert (observation["day"] == 12).all()
    observation, reward, terminated, truncated, info = env.step(np.full((4, 10), -1))
    assert (observation["day"] < 12).all()
    assert not reward.any()
    assert not terminated.any()
    assert not truncated.any()
    assert set(info) == {"waiting", "_waiting"}
    by_hand = ExplorationVectorEnv(4, days=12)
    by_hand.reset(seed=8)
    expected, _ = by_hand.reset()
    for name in expected:
        np.testing.assert_array_equal(observation[name], expected[name])


def test_spaces_hold_what_is_returned_and_are_batches_of_the_scalar_ones():
    env = gym.make_vec(ID, num_envs=16, world="tiny", days=2)
    scalar = gym.make(ID, world="tiny", days=2)
    assert env.single_observation_space == scalar.observation_space
    assert env.single_action_space == scalar.action_space
    assert env.observation_space == batch_space(scalar.observation_space, 16)
    observation, info = env.reset(seed=1)
    env.action_space.seed(1)
    for _ in range(12):
        assert env.observation_space.contains(observation)
        assert info["waiting"].shape == (16,)
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert reward.shape == terminated.shape == truncated.shape == (16,)
        assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)


def test_what_was_returned_is_not_changed_later():
    env = ExplorationVectorEnv(4)
    observation, _ = env.reset(seed=1)
    kept = {name: values.copy() for name, values in observation.items()}
    for _ in range(5):
        env.step(policy(env.reset(seed=2)[0]))
    for name in kept:
        np.testing.assert_array_equal(observation[name], kept[name])


def test_episode_statistics_wrap_it():
    env = RecordEpisodeStatistics(ExplorationVectorEnv(6, days=2))
    observation, _ = env.reset(seed=4)
    total, truncated = np.zeros(6), np.zeros(6, bool)
    while not truncated.any():
        observation, reward, _, truncated, info = env.step(policy(observation))
        total += reward
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-6)
    assert total.sum() > 0


def test_observations_can_be_flattened():
    env = FlattenObservation(gym.make_vec(ID, num_envs=5, world="tiny", days=2))
    observation, _ = env.reset(seed=4)
    plain, _ = ExplorationVectorEnv(5, days=2).reset(seed=4)
    assert observation.shape == (5, 2 + 3 * 200 + 100 * (1 + 1 + 256))
    for i in range(5):
        assert sorted(observation[i].tolist()) == sorted(
            np.concatenate([v[i].ravel() for v in plain.values()]).tolist()
        )
    observation, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)


def test_the_autoreset_mode_reaches_those_who_make_it():
    assert gym.make_vec(ID, num_envs=2).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("num_envs", [0, 151])
def test_more_users_than_there_are_is_refused(num_envs):
    with pytest.raises(InvalidInput, match="num_envs"):
        ExplorationVectorEnv(num_envs)
