"""The low level: which items within the planned clusters?"""

import abc
from pathlib import Path

from agents.base import Agent, Recommendations
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream


class Ranker(abc.ABC):
    """Picks items, where asked from some clusters only."""

    def bind(self, production: Agent) -> None:
        """Meet the production recommender before ``fit`` or ``load``; see ``Agent.bind``."""

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from the burn-in log, once. ``platform`` stays live."""

    @abc.abstractmethod
    def rank(self, requests: Requests, allowed: IntArray | None, rng: RandomStream) -> Recommendations:
        """Fill ``requests.num_slots`` slots for each user.

        Args:
            requests: B users.
            allowed: (B, n) int32 level-2 clusters that the items must come from; None for all.
                Where a user's clusters have fewer than S items left that are alive and not
                excluded, the remaining slots come from all clusters.
            rng: this call's randomness.
        """

    def probability(self, requests: Requests, allowed: IntArray | None, item: IntArray) -> FloatArray | None:
        """Tell how likely ``rank`` is to put items (B,) into the first slot; see ``Agent.probability``.

        Returns:
            (B,) float in [0, 1]; None if the ranker cannot say.
        """
        return None

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from a day's rows, at its end."""

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs into an existing folder."""

    def load(self, folder: Path, platform: Platform) -> None:
        """Become the ranker that ``save`` wrote."""
