"""The oracle: a planner that reads each user's affinities, restricted to novel clusters as other planners or not.

What it finds more than another planner is knowledge only where both may plan the same clusters. Planners of
novel clusters may never plan one that the user has consumed from; the free oracle may, and does: most of its
slots are not novel, since a dormant interest's items lie in known clusters too. ``novel_only`` takes that away.
Neither is proved to be the best that can be done: the oracle is greedy, slot by slot and day by day.
"""

import numpy as np

from agents.novel_choice import best_first, choose_novel
from experiments.oracles.privileged import PrivilegedPlanner
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.population import DISCOVERED, DORMANT, FREE
from sim.hidden.world import World
from sim.platform import Platform, Requests
from sim.random import RandomStream

KNOWN_WEIGHT = 1e-3
"""What an interest that is not dormant counts: it decides only where no dormant interest has items (chosen)."""

_CHUNK = 2048  # users whose value of every cluster is held at a time


class OraclePlanner(PrivilegedPlanner):
    """Plans the clusters from which a random live item is most likely to meet a dormant interest and be watched.

        value(i, c) = sum_m share(m | c) w(i, m) sigmoid(u(i, m)),   w = 1 if m is dormant for user i,
                                                                     ``KNOWN_WEIGHT`` if i has it otherwise

    with share(m | c) the part of the live items of level-2 cluster c that belong to interest m, and u the
    utility of ``expected_utility``. So the dormant interests of best prospects come first, each in the
    clusters that it makes up most of; then what else the user would love. Ties go at random.
    It is an oracle of the plan alone: the ranker is the same as without it.

    Args:
        novel_only: plan only clusters that the user never consumed from, as planners of novel clusters must;
            where fewer have any value, random novel ones, as theirs do (``choose_novel``).
    """

    name = "oracle"

    def __init__(self, novel_only: bool = False) -> None:
        self.novel_only = novel_only

    def _meet(self, platform: Platform) -> None:
        super()._meet(platform)
        self._of_day: tuple[int, FloatArray] | None = None  # see ``_share``

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Take the S clusters of largest value, of those that may be planned.

        Raises:
            InvalidInput: nobody has revealed the world, or there are fewer clusters than slots.
        """
        num_clusters = self.platform.clusters.num_clusters
        if requests.num_slots > num_clusters:
            raise InvalidInput("num_slots", requests.num_slots, f"must be at most the {num_clusters} clusters")
        plan = np.empty((len(requests), requests.num_slots), np.int32)
        for start in range(0, len(requests), _CHUNK):
            rows = slice(start, start + _CHUNK)
            user = requests.user[rows]
            value = self._value(user)
            ranked = best_first(value, rng.at("ties"))
            if self.novel_only:
                ranked = np.where(np.take_along_axis(value, ranked, axis=1) > 0, ranked, -1)
                consumed = self.platform.consumed_clusters(user)
                ranked = choose_novel(ranked, consumed, requests.num_slots, rng.at("fill"), user)
            plan[rows] = ranked[:, : requests.num_slots]
        return plan

    def _value(self, user: IntArray) -> FloatArray:
        """(B, C) float64 value of every level-2 cluster for users (B,)."""
        world, share = self.world, self._share()
        status, interest = world.population.status[user], world.population.interest[user]  # (B, K)
        watched = 1 / (1 + np.exp(-expected_utility(world, user)))
        weight = np.where(status == DORMANT, 1.0, np.where(status == FREE, 0.0, KNOWN_WEIGHT)) * watched
        value = np.zeros((len(user), share.shape[1]))
        for slot in range(interest.shape[1]):  # one by one: a matrix product would round by the batch
            in_use = np.flatnonzero(status[:, slot] != FREE)
            value[in_use] += weight[in_use, slot, None] * share[interest[in_use, slot]]
        return value

    def _share(self) -> FloatArray:
        """(M, C) float64 what part of each cluster's live items belongs to each interest; computed once a day."""
        world, platform = self.world, self.platform
        if self._of_day is None or self._of_day[0] != platform.day:
            live = platform.live_items()
            shape = (world.config.num_interests, platform.clusters.num_clusters)
            count = np.zeros(shape)
            np.add.at(count, (world.truth.interest[live], platform.cluster_of_item[live]), 1)
            self._of_day = (platform.day, count / np.maximum(count.sum(axis=0), 1))
        return self._of_day[1]


def expected_utility(world: World, user: IntArray) -> FloatArray:
    """The value today of an item of average taste match and quality; see ``sim.hidden.response``.

        u = b0 + ba g + bn appetite 1[new] - bs s + bt trend

    Reads the latent state of users (B,) and of interests.

    Returns:
        (B, K) float64 by interest slot, in logits of watching; -inf where a slot is free.
    """
    people, c = world.population, world.config.response
    status, interest = people.status[user], people.interest[user]
    exposures = people.exposures[user].astype(np.float64)
    familiarity = np.log2(1 + exposures)
    felt = c.first_impression + (1 - c.first_impression) * familiarity / (familiarity + 1)
    strength = people.affinity[user] * np.where(status == DISCOVERED, 1.0, felt)  # g
    appetite = c.novelty_weight * people.novelty_appetite[user, None] * (exposures == 0)
    trend = c.trend_weight * world.trend[interest]
    satiation = c.satiation_weight * people.satiation[user]
    utility = c.intercept + c.interest_weight * strength + appetite - satiation + trend
    return np.where(status == FREE, -np.inf, utility)
