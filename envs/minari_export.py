"""Data sets in Minari's format, for offline reinforcement learning: of logs, and of episodes played."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from envs.log_episodes import PADS, Episodes, log_episodes
from envs.observation import Observation
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.log import InteractionLog


def export_log(
    log: InteractionLog, catalog: Catalog, dataset_id: str, history_length: int = 200, history_days: int = 30
) -> Any:
    """Write a log as a Minari data set: one episode a user, each step one request (day, step).

    *Observation* before the request, and one after the last: ``day``, ``minutes_today``,
    ``history_cluster``, ``history_watch``, ``history_positive`` as in
    ``envs.observation.observation_space``, and ``history_item`` (H,) int64, -1 pads. History begins with the log.

    *Action*: (S,) int64, the slate's items; -1 where the user left before.
    *Reward*: minutes watched of the slate. *Truncation*: at the user's last request.

    *infos*, with one row more than there are steps, as Minari has it: row t + 1 is the result of action t, row 0
    holds pads. ``user``, ``step`` (T + 1,); and (T + 1, S) ``examined``, ``cluster``, ``length`` in
    seconds, ``watch_seconds``, ``watch_fraction``, ``liked``, ``disliked``, ``positive``,
    ``consumed``, ``propensity``, ``source``, ``planned``, as in ``sim.log.InteractionLog``.

    Args:
        log: of one arm or world; mixed logs hold slots twice and are refused.
        catalog: holds every item of the log.
        dataset_id: Minari's name for it, such as ``interestlab/demo/control-v0``.
        history_length: H, consumed items that an observation holds.
        history_days: how far back they reach.

    Returns:
        The ``minari.MinariDataset``, kept where Minari keeps its own (``MINARI_DATASETS_PATH``).

    Raises:
        InvalidInput: Minari is not installed, the name is taken or impossible, or the log is not like that.
    """
    minari = _minari()
    episodes = log_episodes(log, catalog, history_length, history_days)
    buffers = [_buffer(minari, episodes, i) for i in range(len(episodes.user))]
    spaces = {"observation_space": episodes.observation_space, "action_space": episodes.action_space}
    return _create(minari, dataset_id, buffers, spaces, "an interaction log; one episode a user, a request a step")


def export_episodes(
    env: gym.Env[Observation, Any], policy: Callable[[Observation], Any], seeds: Iterable[int], dataset_id: str
) -> Any:
    """Play episodes and write them as a Minari data set.

    ``infos`` has one row more than there are steps, as Minari has it: row t + 1 is the result of action t, row 0
    is False or 0. The data set records the environment: ``recover_environment`` makes it again.

    Args:
        env: made by ``gymnasium.make``.
        policy: an observation in, an action out.
        seeds: each episode's ``reset`` seed.
        dataset_id: Minari's name for it, such as ``interestlab/planning/random-v0``.

    Returns:
        The ``minari.MinariDataset``, kept where Minari keeps its own (``MINARI_DATASETS_PATH``).

    Raises:
        InvalidInput: Minari is not installed, the name is taken or impossible, or there are no seeds.
    """
    minari = _minari()
    buffers = [_played(minari, env, policy, seed) for seed in seeds]
    if not buffers:
        raise InvalidInput("seeds", "none", "must be at least one, an episode each")
    return _create(minari, dataset_id, buffers, {"env": env}, "episodes of simulated users")


def _minari() -> Any:
    try:
        import h5py  # noqa: F401 - Minari would ask for it later, with a less clear message
        import minari
    except ImportError as error:
        raise InvalidInput("minari", str(error), "needs `pip install 'interestlab[rl]'`") from None
    return minari


def _create(minari: Any, dataset_id: str, buffers: list[Any], origin: dict[str, Any], description: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Whoever publishes the data set adds its author.
            warnings.simplefilter("ignore", UserWarning)
            return minari.create_dataset_from_buffers(dataset_id, buffers, description=description, **origin)
    except ValueError as error:
        raise InvalidInput("dataset_id", dataset_id, str(error)) from None


def _buffer(minari: Any, episodes: Episodes, i: int) -> Any:
    """The episode of the i-th user."""
    start, end = int(episodes.ends[i - 1]) if i else 0, int(episodes.ends[i])
    # Each user before this one has one observation more than requests.
    observation = {name: values[start + i : end + i + 1] for name, values in episodes.observation.items()}
    infos = {name: _after_pad(episodes.slots[name][start:end], pad) for name, pad in PADS.items()}
    infos["step"] = _after_pad(episodes.step[start:end], np.int32(-1))
    infos["user"] = np.full(end - start + 1, episodes.user[i])
    over = np.zeros(end - start, bool)
    over[-1] = True
    return minari.data_collector.EpisodeBuffer(
        observations=observation,
        actions=episodes.items[start:end],
        rewards=episodes.minutes[start:end],
        terminations=np.zeros(end - start, bool),
        truncations=over,
        infos=infos,
    )


def _after_pad(values: npt.NDArray[Any], pad: Any) -> npt.NDArray[Any]:
    """``values`` (T, ...) behind a row of pads, (T + 1, ...)."""
    return np.concatenate([np.full_like(values[:1], pad), values])


def _played(minari: Any, env: gym.Env[Observation, Any], policy: Callable[[Observation], Any], seed: int) -> Any:
    """One episode."""
    observation, _ = env.reset(seed=seed)
    observations, actions, infos = [observation], [], []
    rewards, terminations, truncations = [], [], []
    over = False
    while not over:
        action = policy(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
        terminations.append(terminated)
        truncations.append(truncated)
        infos.append(info)
    return minari.data_collector.EpisodeBuffer(
        seed=seed,
        observations={name: np.stack([o[name] for o in observations]) for name in observation},
        actions=np.stack(actions),
        rewards=rewards,
        terminations=terminations,
        truncations=truncations,
        infos={name: _after_pad(np.stack([info[name] for info in infos]), 0) for name in infos[0]},
    )
