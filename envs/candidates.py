"""Lives in which an action picks a slate from candidates: shared by the single-user and the vector environment."""

from dataclasses import dataclass

import numpy as np

from envs.life import Life, LifeSettings, PublicFeedback
from envs.observation import Observation, observe
from envs.slates import draw_candidates, fill_slates
from sim.arrays import IntArray
from sim.errors import InvalidInput


@dataclass(frozen=True)
class CandidateSettings(LifeSettings):
    """Settings of an Exploration environment; checked.

    Attributes:
        num_candidates: items to choose a slate from, C.
    """

    num_candidates: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_candidates < self.num_slots:
            raise InvalidInput(
                "num_candidates", self.num_candidates, f"must be at least num_slots={self.num_slots}, one item a slot"
            )


class CandidateLife(Life):
    """B users who are offered C candidates each at every request; an action is (B, S) positions among them."""

    def __init__(self, settings: CandidateSettings, users: IntArray, life_seed: int) -> None:
        super().__init__(settings, users, life_seed, (settings.num_slots,), settings.num_candidates)
        self._candidates = np.zeros((len(users), settings.num_candidates), np.int64)
        self._begin()

    def _slates(self, rows: IntArray, action: IntArray) -> tuple[IntArray, PublicFeedback]:
        items, repeated = fill_slates(self._candidates[rows], action)
        return items, {"repeated": repeated}

    def _observe(self, rows: IntArray) -> Observation:
        """New candidates for the users in ``rows`` (b,), and what they and their history look like."""
        user = self.users[rows]
        stream = self._world.stream.at("candidates", self._world.day, self._request)
        exclude = self._records.requests(user, num_slots=1).exclude
        self._candidates[rows] = draw_candidates(stream, user, self._live, exclude, self._num_choices)
        return observe(self._records, user, self._world.minutes_today()[user], self._candidates[rows])
