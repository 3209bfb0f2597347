"""What the faces of one user have in common: ``reset`` and ``step`` of ``gymnasium.Env`` over a ``Life``."""

import abc
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from envs.life import Life
from envs.observation import Observation

Action = TypeVar("Action")


class SingleUserEnv(gym.Env[Observation, Action]):
    """A life of one user, a request a step. The subclass sets the two spaces and says whose life it is."""

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's declaration is an instance attribute
    _life: Life | None = None

    @abc.abstractmethod
    def _new_life(self, life_seed: int) -> Life:
        """A life of one user, B = 1; further draws come from ``self.np_random``."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a life. ``options`` are not used."""
        super().reset(seed=seed)
        self._life = self._new_life(int(self.np_random.integers(2**31)))
        return self._observation(self._life), {"waiting": self._life.over}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show the slate that ``action`` asks for, and live until the user's next request.

        Raises:
            InvalidInput: ``action`` is out of the action space.
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        life = self._life
        if life is None:
            raise gym.error.ResetNeeded("call reset before step")
        if life.over:  # the user was never active, or the caller steps on after the end
            return self._observation(life), 0.0, False, True, {"waiting": True}
        outcome = life.step(np.asarray(action)[None])
        info: dict[str, Any] = {name: values[0] for name, values in outcome.info.items()}
        info["waiting"] = life.over
        return self._observation(life), float(outcome.minutes[0]), False, life.over, info

    @staticmethod
    def _observation(life: Life) -> Observation:
        return {name: values[0].copy() for name, values in life.observation.items()}
