"""The low level: which items within the planned clusters?"""

import abc

from agents.base import Agent, Learner, Recommendations
from sim.arrays import FloatArray, IntArray
from sim.platform import Requests
from sim.random import RandomStream


class Ranker(Learner):
    """Picks items, where asked from some clusters only."""

    def bind(self, production: Agent) -> None:
        """Receive the production recommender before ``fit`` or ``load``; see ``Agent.bind``."""

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
        """The probability that ``rank`` puts items (B,) into the first slot; see ``Agent.probability``.

        Returns:
            (B,) float in [0, 1]; None if the ranker cannot say.
        """
        return None
