"""The high level: which interest cluster next?"""

import abc
from pathlib import Path

from sim.arrays import IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream


class Planner(abc.ABC):
    """Chooses level-2 clusters for a batch of users."""

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from the burn-in log, once. ``platform`` stays live."""

    @abc.abstractmethod
    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot.

        Returns:
            (B, S) int32, distinct in a row, S = ``requests.num_slots``.
        """

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from a day's rows, at its end."""

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs into an existing folder."""

    def load(self, folder: Path, platform: Platform) -> None:
        """Become the planner that ``save`` wrote."""
