"""One user, one stream of requests: ``gymnasium.Env``."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.config import world_config
from envs.life import Life, Setting
from envs.observation import Observation, observation_space
from sim.arrays import IntArray
from sim.config import WorldConfig
from sim.errors import InvalidInput


class ExplorationEnv(gym.Env[Observation, IntArray]):
    """Recommend slates to one simulated user; ``interestlab/Exploration-v0``.

    An episode is a life of ``days`` days. Each step is one request of the user; when they leave,
    the next step is their first request on the next day on which they come.

    *Observation*: see ``envs.observation.observation_space``. Public data only, with the
    interest clusters that the platform makes of day 0's items.

    *Action*: ``MultiDiscrete([C] * S)``, positions in the candidate set. The catalog grows and
    expires, so each observation offers C items instead, drawn uniformly without replacement from
    the live items that the user was not shown recently. A position named twice in a slate is
    invalid the second time and replaced by the first candidate that the action does not name;
    ``info["repeated"]`` counts these slots.

    *Reward*: minutes that the user watched of the slate. Novelty is not rewarded as such:
    exploration has to pay by what the user does later.

    *End*: ``truncated`` once ``days`` days have passed (a time limit; nobody dies), together with
    the user's last request; the last observation has ``day == days``. In a life in which the user
    never comes, ``info["waiting"]`` is True after ``reset`` and the first step ends the episode
    with reward 0.

    *info* after a step, S slots each unless said otherwise: ``examined``, ``consumed``,
    ``positive``, ``liked``, ``disliked`` (bool), ``watch_seconds``, ``watch_fraction`` (float32),
    ``items`` (int64), ``clusters`` (int32, level 2), and the scalars ``left`` (the user left for
    today), ``repeated``. ``waiting`` is always there. Latent state never is.

    *Seeds*: ``world_seed`` names who lives in the world and what is uploaded; ``reset(seed=...)``
    names the luck of this life and of those after it. So a reset meets the same person afresh.

    Args:
        world: preset name, mapping, or record of the world's constants.
        user: which user, 0 .. num_users - 1.
        world_seed: names the world.
        days: days an episode lasts, T.
        num_slots: items a slate, S.
        num_candidates: items to choose from, C.

    Raises:
        InvalidInput: an argument or action that cannot be.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's declaration is an instance attribute

    def __init__(
        self,
        world: WorldConfig | Mapping[str, Any] | str = "tiny",
        user: int = 0,
        world_seed: int = 0,
        days: int = 7,
        num_slots: int = 10,
        num_candidates: int = 100,
    ) -> None:
        config = world_config(world)
        if not 0 <= user < config.num_users:
            raise InvalidInput("user", user, f"must be from 0 to world.num_users - 1 = {config.num_users - 1}")
        self._setting = Setting(config, world_seed, days, num_slots, num_candidates)
        self._users = np.array([user], np.int64)
        self._life: Life | None = None
        self.observation_space = observation_space(config, days, num_slots, num_candidates)
        self.action_space = spaces.MultiDiscrete(np.full(num_slots, num_candidates))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a life. ``options`` are not used."""
        super().reset(seed=seed)
        self._life = Life(self._setting, self._users, int(self.np_random.integers(2**31)))
        return self._observation(self._life), {"waiting": self._life.over}

    def step(self, action: IntArray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show a slate; ``action`` is (S,) integers in [0, C).

        Raises:
            InvalidInput: ``action`` is out of the action space.
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        life = self._life
        if life is None:
            raise gym.error.ResetNeeded("call reset before step")
        if life.over:  # the user never came, or the caller steps on after the end
            return self._observation(life), 0.0, False, True, {"waiting": True}
        outcome = life.step(np.asarray(action)[None])
        info: dict[str, Any] = {name: values[0] for name, values in outcome.info.items()}
        info["waiting"] = life.over
        return self._observation(life), float(outcome.minutes[0]), False, life.over, info

    @staticmethod
    def _observation(life: Life) -> Observation:
        return {name: values[0].copy() for name, values in life.observation.items()}
