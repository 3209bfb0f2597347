import sys

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401 - registers the environments
from envs.config import world_config
from envs.log_episodes import log_episodes
from envs.minari_export import export_episodes, export_log
from sim.errors import InvalidInput
from sim.hidden.world import World
from sim.log import DTYPES, InteractionLog

TINY = world_config("tiny")


@pytest.fixture(autouse=True)
def datasets_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def small_log(**changes):
    """Users 4 and 9; items 0 to 5. User 4: two requests on day 1, one on day 3. User 9: one, on day 1."""
    columns = {
        # in the log's own order: day, step, user, slot
        "user": [4, 4, 9, 4, 4], "day": [1, 1, 1, 1, 3], "step": [0, 0, 0, 1, 0], "slot": [0, 1, 0, 0, 1],
        "item": [0, 1, 2, 3, 4], "cluster": [5, 6, 7, 5, 6], "watch_seconds": [6.0, 30.0, 12.0, 90.0, 3.0],
        "watch_fraction": [0.5, 1.5, 1.0, 0.75, 0.1], "liked": [0, 1, 0, 0, 0], "disliked": [0, 0, 0, 0, 1],
        "positive": [0, 1, 1, 1, 0], "consumed": [0, 1, 1, 1, 0], "propensity": [0.1, 0.2, 0.3, 0.4, np.nan],
        "source": [0, 1, 0, 1, 0], "planned": [-1, 6, -1, 5, -1],
        "survey": [-1, 1, -1, 0, -1],
    }  # fmt: skip
    return InteractionLog(**{name: np.array({**columns, **changes}[name], DTYPES[name]) for name in DTYPES})


def small_catalog():
    return World(TINY, 0).catalog


def test_a_log_comes_back_from_minari_number_for_number():
    minari = pytest.importorskip("minari")
    export_log(small_log(), small_catalog(), "interestlab/hand-v0", history_length=3)
    dataset = minari.load_dataset("interestlab/hand-v0")
    assert dataset.total_episodes == 2
    four, nine = dataset.iterate_episodes()
    assert four.actions.tolist() == [[0, 1], [3, -1], [-1, 4]]
    assert nine.actions.tolist() == [[2, -1]]
    np.testing.assert_allclose(four.rewards, [0.6, 1.5, 0.05], rtol=1e-6)
    np.testing.assert_allclose(nine.rewards, [0.2], rtol=1e-6)
    assert four.truncations.tolist() == [False, False, True]
    assert not four.terminations.any()
    seen = four.observations
    assert seen["day"].tolist() == [[1], [1], [3], [3]]
    np.testing.assert_allclose(seen["minutes_today"], [[0], [0.6], [0], [0.05]], rtol=1e-6)
    assert seen["history_item"].tolist() == [[-1, -1, -1], [-1, -1, 1], [-1, 1, 3], [-1, 1, 3]]
    assert seen["history_cluster"].tolist() == [[-1, -1, -1], [-1, -1, 6], [-1, 6, 5], [-1, 6, 5]]
    assert seen["history_watch"].tolist() == [[0, 0, 0], [0, 0, 1.5], [0, 1.5, 0.75], [0, 1.5, 0.75]]
    assert seen["history_positive"].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 1]]
    assert nine.observations["history_item"].tolist() == [[-1, -1, -1], [-1, -1, 2]]
    infos = four.infos  # row 0 belongs to the reset
    np.testing.assert_array_equal(
        infos["propensity"], np.float32([[np.nan] * 2, [0.1, 0.2], [0.4, np.nan], [np.nan, np.nan]])
    )
    assert infos["positive"].tolist() == [[False] * 2, [False, True], [True, False], [False, False]]
    assert infos["examined"].tolist() == [[False] * 2, [True, True], [True, False], [False, True]]
    assert infos["planned"].tolist() == [[-1, -1], [-1, 6], [5, -1], [-1, -1]]
    assert infos["step"].tolist() == [-1, 0, 1, 0]
    assert infos["user"].tolist() == [4] * 4
    length = small_catalog().length
    np.testing.assert_array_equal(infos["length"][1], length[:2])
    for episode in (four, nine):
        assert all(
            dataset.observation_space.contains({name: values[t] for name, values in episode.observations.items()})
            for t in range(len(episode) + 1)
        )
        assert all(dataset.action_space.contains(action) for action in episode.actions)


def test_history_ends_after_its_days_and_its_length():
    episodes = log_episodes(small_log(), small_catalog(), history_length=3, history_days=2)
    # On day 3 a history of two days reaches back to day 2: what user 4 consumed on day 1 is gone.
    assert episodes.observation["history_item"].tolist()[:4] == [[-1] * 3, [-1, -1, 1], [-1] * 3, [-1] * 3]
    short = log_episodes(small_log(), small_catalog(), history_length=1, history_days=30)
    assert short.observation["history_item"].ravel().tolist() == [-1, 1, 3, 3, -1, 2]


def test_a_user_who_consumed_nothing_has_no_history():
    episodes = log_episodes(small_log(consumed=[0] * 5), small_catalog(), 2, 30)
    assert (episodes.observation["history_item"] == -1).all()
    assert (episodes.observation["history_watch"] == 0).all()


def played(user, days):
    """Transitions of an Exploration life, and the rows that a log would have of them."""
    env = gym.make("interestlab/Exploration-v0", world="tiny", user=user, days=days)
    observation, info = env.reset(seed=1)
    over, transitions, columns, step = info["waiting"], [], [], 0
    generator = np.random.default_rng(user)
    while not over:
        day = observation["day"][0]
        after, reward, _, over, info = env.step(generator.integers(0, 100, 10))
        transitions.append((observation, reward))
        seen = np.flatnonzero(info["examined"])
        alike = {"user": user, "day": day, "step": step, "propensity": 0.5, "source": 1, "planned": -1}
        full = {name: np.full(len(seen), value) for name, value in alike.items()}
        full |= {"slot": seen, "item": info["items"][seen], "cluster": info["clusters"][seen]}
        full |= {name: info[name][seen] for name in DTYPES.keys() - full.keys()}
        columns.append(InteractionLog(**full))
        step = step + 1 if after["day"][0] == day else 0
        observation = after
    return transitions, columns


def test_an_exported_log_holds_what_the_environment_showed():
    lives = {user: played(user, days=4) for user in range(10)}
    rows = InteractionLog.concatenate(part for _, parts in lives.values() for part in parts)
    rows = rows.where(np.random.default_rng(0).permutation(len(rows)))  # any order will do
    catalog = World(TINY, 0)
    for day in range(1, 5):
        catalog.begin_day(day)
    episodes = log_episodes(rows, catalog.catalog, TINY.platform.history_length, TINY.platform.history_days)
    assert episodes.user.tolist() == [user for user, (transitions, _) in lives.items() if transitions]
    compared, start = 0, 0
    for i, user in enumerate(episodes.user):
        for transition, (observation, reward) in enumerate(lives[user][0]):
            at = start + transition
            assert episodes.minutes[at] == pytest.approx(reward)
            for name in ("day", "history_cluster", "history_watch", "history_positive"):
                np.testing.assert_array_equal(episodes.observation[name][at + i], observation[name], err_msg=name)
            np.testing.assert_allclose(
                episodes.observation["minutes_today"][at + i], observation["minutes_today"], rtol=1e-4
            )
            compared += 1
        start += len(lives[user][0])
    assert compared == len(episodes.items) > 40


def test_episodes_played_come_back_with_their_environment():
    minari = pytest.importorskip("minari")
    env = gym.make("interestlab/ClusterPlanning-v0", days=2)
    seeds = [s for s in range(40) if not env.reset(seed=s)[1]["waiting"]][:3]
    dataset = export_episodes(env, lambda observation: int(observation["shown"].argmin()), seeds, "planning/sweep-v0")
    assert dataset.total_episodes == 3
    again = minari.load_dataset("planning/sweep-v0")
    recovered = again.recover_environment()
    assert recovered.observation_space == env.observation_space
    for seed, episode in zip(seeds, again.iterate_episodes(), strict=True):
        observation, _ = recovered.reset(seed=seed)
        for t, action in enumerate(episode.actions):
            for name, value in observation.items():
                np.testing.assert_array_equal(episode.observations[name][t], value)
            observation, reward, _, truncated, info = recovered.step(action)
            assert episode.rewards[t] == reward
            assert episode.truncations[t] == truncated
            np.testing.assert_array_equal(episode.infos["positive"][t + 1], info["positive"])
        assert truncated
        assert not episode.infos["positive"][0].any()


def test_bad_logs_and_names_are_refused():
    pytest.importorskip("minari")
    log, catalog = small_log(), small_catalog()
    with pytest.raises(InvalidInput, match="each slot once"):
        export_log(InteractionLog.concatenate([log, log]), catalog, "hand/taken-v0")
    with pytest.raises(InvalidInput, match="at least one impression"):
        export_log(log.where(np.zeros(5, bool)), catalog, "hand/taken-v0")
    with pytest.raises(InvalidInput, match=r"log.item=800: .* 800 items"):
        export_log(small_log(item=[0, 1, 2, 3, 800]), catalog, "hand/taken-v0")
    export_log(log, catalog, "hand/taken-v0")
    with pytest.raises(InvalidInput, match=r"dataset_id='hand/taken-v0': .*already exists"):
        export_log(log, catalog, "hand/taken-v0")
    with pytest.raises(InvalidInput, match="seeds"):
        export_episodes(gym.make("interestlab/ClusterPlanning-v0"), lambda observation: 0, [], "hand/none-v0")


def test_without_minari_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(InvalidInput, match=r"pip install 'interestlab\[rl\]'") as error:
        export_log(small_log(), small_catalog(), "hand/taken-v0")
    assert "\n" not in str(error.value)
