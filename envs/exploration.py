"""One user, one stream of requests: ``gymnasium.Env``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.candidates import CandidateLife, CandidateSettings
from envs.config import world_config
from envs.observation import observation_space
from envs.single import SingleUserEnv
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig


class ExplorationEnv(SingleUserEnv[IntArray]):
    """Recommend slates to one simulated user; ``interestlab/Exploration-v0``.

    An episode is a life of ``days`` days, after a life before day 0 that the platform has seen, the same in
    every episode (``world.prior``; histories begin filled). Each step is one request of the user; when they leave,
    the next step is their first request on the next day on which they come.

    *Observation*: see ``envs.observation.observation_space``. Public data only, with the
    interest clusters that the platform makes of the world's first items.

    *Action*: ``MultiDiscrete([C] * S)``, positions in the candidate set. The catalog grows and
    expires, so each observation offers C items instead, drawn uniformly without replacement from
    the live items that the user was not shown recently. A position named twice in a slate is
    invalid the second time and replaced by the first candidate that the action does not name;
    ``info["repeated"]`` counts these slots.

    *Reward*: minutes that the user watched of the slate. Novelty has no reward of its own:
    exploration has to pay through later minutes.

    *End*: ``truncated`` once ``days`` days have passed (a time limit, come they again or not), together
    with the user's last request; the last observation has ``day == days``. In a life in which the user
    never comes, ``info["waiting"]`` is True after ``reset`` and the first step ends the episode
    with reward 0.

    *info* after a step, S slots each unless said otherwise: ``examined``, ``consumed``,
    ``positive``, ``liked``, ``disliked`` (bool), ``watch_seconds``, ``watch_fraction`` (float32),
    ``items`` (int64), ``clusters`` (int32, level 2), ``survey`` (int8, -1 not asked), and the
    scalars ``left`` (the user left for today), ``repeated``. ``waiting`` is always there. Latent state never is.

    *Seeds*: ``world_seed`` names who lives in the world and what is uploaded; ``reset(seed=...)``
    names the random stream of this life and of those after it. So a reset starts the same person anew.

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
        self._settings = CandidateSettings(config, world_seed, days, num_slots, num_candidates)
        self._users = np.array([user], np.int64)
        self.observation_space = observation_space(config, days, num_slots, num_candidates)
        self.action_space = spaces.MultiDiscrete(np.full(num_slots, num_candidates))

    def _new_life(self, life_seed: int) -> CandidateLife:
        return CandidateLife(self._settings, self._users, life_seed)
