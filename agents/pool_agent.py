"""Agents that draw slates from each user's best items."""

import abc

from agents.base import Agent, RandomStream, Recommendations, Requests
from agents.random import uniform_probability, uniform_slate
from agents.slate import sample_slate, slate_probability
from sim.arrays import FloatArray, IntArray


class PoolAgent(Agent):
    """Draws a slate from the softmax over a user's pool of best items, or takes the best (``agents.slate``).

    Attributes:
        temperature: of the exploring softmax.
        exploration: probability that a slot explores.
        trained: False until it has learned from anything at all; then every live item is as likely.
    """

    temperature: float
    exploration: float
    trained = True

    @abc.abstractmethod
    def _pool(self, requests: Requests) -> tuple[FloatArray, IntArray]:
        """Each user's best live items and their scores, (B, C)."""

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Draw each slot from the user's pool, as the class says."""
        if not self.trained:
            return uniform_slate(self.platform.live_items(), requests, rng)
        scores, items = self._pool(requests)
        return sample_slate(scores, items, requests.num_slots, self.temperature, self.exploration, requests.user, rng)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray:
        """See ``Agent.probability``."""
        if not self.trained:
            return uniform_probability(self.platform.live_items(), requests, items, above)
        return slate_probability(*self._pool(requests), items, above, self.temperature, self.exploration)
