"""The whole population in lock step: ``gymnasium.vector.VectorEnv``."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.candidates import CandidateLife, CandidateSettings
from envs.config import world_config
from envs.observation import Observation, observation_space
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig


class ExplorationVectorEnv(VectorEnv[Observation, IntArray, npt.NDArray[Any]]):
    """The first ``num_envs`` users of one world, side by side; ``gymnasium.make_vec`` makes it.

    Sub-environment ``i`` is user ``i``, and lives the life that ``ExplorationEnv(user=i)`` lives
    after ``reset`` with the same seed: all users of a life share one seed, and their random draws differ
    because their rows of the random streams do. (``vectorization_mode="sync"`` would make copies
    of *one* user with seeds that count up.)

    *Waiting*. The world has one day for all. Users come on different days and make different
    numbers of requests, so while some still ask, others wait: ``info["waiting"][i]`` says that the
    observation just returned is no request of user ``i``: it stays as it was (before the first
    visit: as of day 0), the next action for it is ignored, and nothing is earned by it. Take
    the waiting rows away, and what is left of each row are exactly the transitions of the scalar
    environment, with this reading: the observation that follows a request is the next one that is
    not waiting (or the last one, where the episode ends).

    *End*. Day ``days`` comes for everyone at once: all rows are truncated in the same step, and
    get their final observation there. The step after it starts the next life whatever the actions
    are (``AutoresetMode.NEXT_STEP``), with reward 0.

    *info*: as in ``ExplorationEnv``, with a leading axis of users; ``info["_" + field]`` (num_envs,)
    says, after gymnasium's convention, whose slates were shown in this step.

    Args:
        num_envs: users.
        world, world_seed, days, num_slots, num_candidates: as in ``ExplorationEnv``.

    Raises:
        InvalidInput: an argument or action that cannot be.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        world: WorldConfig | Mapping[str, Any] | str = "tiny",
        world_seed: int = 0,
        days: int = 7,
        num_slots: int = 10,
        num_candidates: int = 100,
    ) -> None:
        config = world_config(world)
        if not 1 <= num_envs <= config.num_users:
            raise InvalidInput("num_envs", num_envs, f"must be from 1 to world.num_users = {config.num_users}")
        self.num_envs = num_envs
        self._settings = CandidateSettings(config, world_seed, days, num_slots, num_candidates)
        self._life: CandidateLife | None = None
        self._ended = False  # whether the last step returned truncated: the next one resets
        self.single_observation_space = observation_space(config, days, num_slots, num_candidates)
        self.single_action_space = spaces.MultiDiscrete(np.full(num_slots, num_candidates))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a life of all users. ``options`` are not used."""
        super().reset(seed=seed)
        self._ended = False
        self._life = CandidateLife(self._settings, np.arange(self.num_envs), int(self.np_random.integers(2**31)))
        return self._observation(self._life), self._info(self._life)

    def step(self, actions: IntArray) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Show a slate to every user who is here; ``actions`` is (num_envs, S) integers in [0, C).

        Returns:
            Observations, rewards (num_envs,) float64, terminations and truncations (num_envs,)
            bool, info.

        Raises:
            InvalidInput: an action of a user who is here is out of the action space.
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        life = self._life
        if life is None:
            raise gym.error.ResetNeeded("call reset before step")
        nothing, never = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        if self._ended:
            observation, info = self.reset()
            return observation, nothing, never, never.copy(), info
        if life.over:  # no user was active on any day
            self._ended = True
            return self._observation(life), nothing, never, ~never, self._info(life)
        outcome = life.step(actions)
        self._ended = life.over
        info = self._info(life)
        for name, values in outcome.info.items():
            info[name] = values
            info[f"_{name}"] = outcome.acted.copy()
        return self._observation(life), outcome.minutes, never, np.full(self.num_envs, life.over), info

    def _info(self, life: CandidateLife) -> dict[str, Any]:
        return {"waiting": ~life.here, "_waiting": np.ones(self.num_envs, bool)}

    @staticmethod
    def _observation(life: CandidateLife) -> Observation:
        return {name: values.copy() for name, values in life.observation.items()}
