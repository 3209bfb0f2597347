"""Policies over a handful of items, whose every slate's probability can be written down."""

from itertools import permutations

import numpy as np

from agents.base import Agent, Recommendations
from agents.slate import sample_slate, slate_probability
from sim.platform import Requests


def requests_of(num, slots):
    nothing = np.full((num, 1), -1)
    return Requests(np.arange(num), 0, nothing, nothing, nothing * 0.0, nothing > 0, nothing, slots)


class Fixed(Agent):
    """The same scores for everybody."""

    def __init__(self, scores, exploration=1.0):
        self.scores, self.exploration = np.asarray(scores, float), exploration

    def _tiled(self, num):
        return np.tile(self.scores, (num, 1)), np.tile(np.arange(len(self.scores)), (num, 1))

    def recommend(self, requests, rng):
        pools = self._tiled(len(requests))
        return sample_slate(*pools, requests.num_slots, 1.0, self.exploration, requests.user, rng)

    def probability(self, requests, items, above, rng):
        return slate_probability(*self._tiled(len(requests)), items, above, 1.0, self.exploration)

    def slates(self, slots):
        """Every slate, (n, S), and its probability, (n,)."""
        every = np.array(list(permutations(range(len(self.scores)), slots)))
        return every, self.probability(requests_of(len(every), slots), every, every, None).prod(axis=1)

    def value(self, reward):
        """Mean of reward((n, S) slates) -> (n, S), a slate."""
        every, probability = self.slates(reward.slots)
        return float((reward(every).sum(axis=1) * probability).sum())


class Planning(Agent):
    """Draws one of several policies, then acts as it does: a plan."""

    def __init__(self, policies):
        self.policies = policies

    def _plan(self, requests, rng):
        return (rng.at("plan").uniform(requests.user, 1)[:, 0] * len(self.policies)).astype(np.int64)

    def _by_plan(self, requests, rng, of):
        plan, actual = self._plan(requests, rng), None
        for number, policy in enumerate(self.policies):
            values = of(policy)
            actual = values if actual is None else np.where((plan == number)[:, None], values, actual)
        return actual

    def recommend(self, requests, rng):
        items = self._by_plan(requests, rng, lambda policy: policy.recommend(requests, rng).items)
        actual = self.probability(requests, items, items, rng)
        plan = np.repeat(self._plan(requests, rng)[:, None], items.shape[1], axis=1)
        return Recommendations(items, actual.astype(np.float32), plan.astype(np.int32))

    def probability(self, requests, items, above, rng):
        return self._by_plan(requests, rng, lambda policy: policy.probability(requests, items, above, rng))

    def slates(self, slots):
        every = self.policies[0].slates(slots)[0]
        return every, np.mean([policy.slates(slots)[1] for policy in self.policies], axis=0)

    value = Fixed.value


class Reward:
    """Rewards of slots: of the item and slot alone, or falling with what stands above, or all that stands there."""

    def __init__(self, slots, kind, num_items=6):
        rng = np.random.default_rng(3)
        self.slots, self.kind = slots, kind
        self.own = rng.random((num_items, slots)) * 0.5 + 0.2

    def __call__(self, items):
        actual = self.own[items, np.arange(self.slots)]
        if self.kind == "cascade":
            above = np.cumsum(actual, axis=1) - actual
            return actual / (1 + above)
        if self.kind == "slate":
            return actual * items.max(axis=1)[:, None] / 5
        return actual
