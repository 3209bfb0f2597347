"""Reference policies of the certificate: simple recommenders, whose effects the facts are about.

They measure the *world* and do not compete, so each is as simple as its fact allows. Only
``Informed`` and the warm-up read hidden truth. None of them rewards novelty.
"""

import numpy as np

from experiments.live.slates import RankedLists, fill_best, fill_next, nth_unmarked
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.feedback import Feedback
from sim.hidden.population import DISCOVERED, DORMANT
from sim.hidden.serving_day import FilledSlates
from sim.hidden.world import World
from sim.log import AGENT, PRODUCTION
from sim.platform import PlatformRecords
from sim.random import RandomStream

MEMORY_DAYS = 14.0
"""Days after which an impression counts half in a user's own rates."""

PRIOR_IMPRESSIONS = 4.0
"""Impressions that a user's rate in a cluster, or an item's, is drawn to its global rate by."""

POPULARITY_WEIGHT = 0.1
"""How much an item's value grows with the logarithm of its positives (a popularity prior)."""

CANDIDATE_CLUSTERS = 12
"""A user's best clusters, from which the day's slates are filled."""

MOST_PER_CLUSTER = 3
"""Items of one cluster in a slate: a feed mixes what it shows."""

EXPLORED_SLOTS = 2
"""Slots of a slate that an exploring policy gives to exploration."""


class Random:
    """Every live item is as likely, whoever asks: the random exposure of KuaiRand (Gao et al. 2022)."""

    name = "random"

    def __init__(self, world: World, records: PlatformRecords, stream: RandomStream) -> None:
        self.world, self.records, self.stream = world, records, stream

    def begin_day(self, users: IntArray) -> None:
        """Prepare for a day's active users (A,)."""
        self.live = np.flatnonzero(self.world.catalog.alive(self.world.day))
        self.shuffled = self.stream.at("shuffle", self.world.day).generator().permutation(self.live)

    def slates(self, user: IntArray, step: int, num_slots: int) -> FilledSlates:
        """Slates of S items for users (B,) at their request number ``step`` today."""
        draws = self.stream.at("slate", self.world.day, step).uniform(user, num_slots)
        # One draw from each of S equal parts of a shuffled list: distinct, and all equally likely.
        place = (np.arange(num_slots) + draws) * len(self.shuffled) / num_slots
        return FilledSlates.of(self.shuffled[np.minimum(place.astype(np.int64), len(self.shuffled) - 1)])

    def learn(self, user: IntArray, items: IntArray, feedback: Feedback) -> None:
        """Learn from the feedback of users (B,) on their slates (B, S)."""


class WarmUp(Random):
    """The policy before a world is measured: half random items, half of discovered interests (hidden truth).

    On day 0 users have discovered a part of the interests that they love. No log of that
    time exists, so the warm-up makes one: every other slot shows a random item of a random interest
    that the user has discovered. Policies learn from it and are the same until it ends.
    """

    name = "warm-up"

    def begin_day(self, users: IntArray) -> None:
        """Also list live items by their true interest."""
        super().begin_day(users)
        interest = self.world.truth.interest
        even = np.zeros(len(interest), np.float32)
        self.lists = RankedLists.of(self.live, interest, self.world.config.num_interests, even)

    def slates(self, user: IntArray, step: int, num_slots: int) -> FilledSlates:
        """Every other slot from the user's discovered interests; an item may come twice."""
        slates = super().slates(user, step, num_slots).items
        population = self.world.population
        for slot in range(1, num_slots, 2):
            draws = self.stream.at("known", self.world.day, step, slot).uniform(user, 2)
            known = nth_unmarked(population.status[user] != DISCOVERED, draws[:, 0])
            interest = np.maximum(population.interest[user, known], 0)
            begin, end = self.lists.start[interest], self.lists.start[interest + 1]
            there = end > begin
            place = begin + (draws[:, 1] * (end - begin)).astype(np.int64)
            slates[there, slot] = self.lists.item[place[there]]
        return FilledSlates.of(slates)


class Greedy(Random):
    """Exploits its estimates, and retrains every night on what it has shown: the feedback loop.

    With shown and positive impressions n and p (a user's own decay with ``MEMORY_DAYS``), k =
    ``PRIOR_IMPRESSIONS`` and w = ``POPULARITY_WEIGHT``:

        rate[u, c] = (p[u, c] + k rate[c]) / (n[u, c] + k),      rate[c] = (p[c] + 1) / (n[c] + 10)
        lift[j]    = (p[j] + k rate[c]) / (n[j] + k) / rate[c] * (1 + w log(1 + p[j]))

    and a slate holds the items of largest rate x lift among the user's best clusters.
    """

    name = "greedy"

    def __init__(self, world: World, records: PlatformRecords, stream: RandomStream) -> None:
        super().__init__(world, records, stream)
        shape = (records.num_users, records.clusters.num_clusters)
        self.shown, self.positive = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.item_shown, self.item_positive = np.zeros(0), np.zeros(0)

    def learn(self, user: IntArray, items: IntArray, feedback: Feedback) -> None:
        """Count impressions and positives by user and cluster, and by item."""
        row, slot = np.nonzero(feedback.examined)
        self.count(user[row], items[row, slot], feedback.positive[row, slot])

    def count(self, user: IntArray, item: IntArray, positive: BoolArray) -> None:
        """Count impressions (R,) of items (R,) by users (R,), and whether they were positive (R,)."""
        self._grow(self.world.catalog.num_items)
        cluster = self.records.cluster_of_item[item]
        np.add.at(self.shown, (user, cluster), np.float32(1))
        np.add.at(self.positive, (user[positive], cluster[positive]), np.float32(1))
        size = self.world.catalog.num_items
        self.item_shown += np.bincount(item, minlength=size)
        self.item_positive += np.bincount(item[positive], minlength=size)

    def continue_from(self, other: "Greedy") -> None:
        """Take over a copy of what another policy of the same platform has learned."""
        self.shown, self.positive = other.shown.copy(), other.positive.copy()
        self.item_shown, self.item_positive = other.item_shown.copy(), other.item_positive.copy()

    def _grow(self, num_items: int) -> None:
        new = np.zeros(num_items - len(self.item_shown))
        self.item_shown = np.concatenate([self.item_shown, new])
        self.item_positive = np.concatenate([self.item_positive, new])

    def begin_day(self, users: IntArray) -> None:
        """Retrain: rates of clusters and items, then every user's best clusters."""
        super().begin_day(users)
        self._grow(self.world.catalog.num_items)
        forget = np.float32(0.5 ** (1 / MEMORY_DAYS))
        self.shown *= forget
        self.positive *= forget
        cluster = self.records.cluster_of_item
        num = self.records.clusters.num_clusters
        rate = (np.bincount(cluster, self.item_positive, num) + 1) / (np.bincount(cluster, self.item_shown, num) + 10)
        prior = PRIOR_IMPRESSIONS * rate
        lift = (self.item_positive + prior[cluster]) / (self.item_shown + PRIOR_IMPRESSIONS) / rate[cluster]
        self.lift = (lift * (1 + POPULARITY_WEIGHT * np.log1p(self.item_positive))).astype(np.float32)
        self.lists = RankedLists.of(self.live, cluster, num, self.lift)
        own = self.own_rates(users, rate)
        kept = min(CANDIDATE_CLUSTERS, num)
        self.active_users = users
        first = self.lists.start[:-1]
        there = first < self.lists.start[1:]
        hit = np.zeros(num, np.float32)  # lift of each cluster's best item: a hit may justify a weaker cluster
        hit[there] = self.lift[self.lists.item[first[there]]]
        self.best = np.argpartition(-own * hit, kept - 1, axis=1)[:, :kept]  # (A, K)
        self.best_rate = np.take_along_axis(own, self.best, axis=1)

    def own_rates(self, users: IntArray, rate: FloatArray) -> FloatArray:
        """(A, C) float32 rates of users (A,) in each cluster, whose rates over all are (C,)."""
        prior = (PRIOR_IMPRESSIONS * rate).astype(np.float32)
        return (self.positive[users] + prior) / (self.shown[users] + np.float32(PRIOR_IMPRESSIONS))

    def slates(self, user: IntArray, step: int, num_slots: int) -> FilledSlates:
        """The explored slots, if any (source ``AGENT``), then the best of the rest, in random places."""
        slates = super().slates(user, step, num_slots).items  # stays where nothing better is available
        exclude = self.records.requests(user, num_slots).exclude
        filled = np.zeros(len(user), np.int64)
        self.explore(user, slates, filled, exclude, step)
        row = np.searchsorted(self.active_users, user)
        fill_best(slates, filled, self.best[row], self.best_rate[row], self.lists, exclude, MOST_PER_CLUSTER)
        order = self.stream.at("places", self.world.day, step).uniform(user, num_slots).argsort(axis=1)
        source = np.where(order < filled[:, None], AGENT, PRODUCTION)
        return FilledSlates.of(np.take_along_axis(slates, order, axis=1), source=source)

    def explore(self, user: IntArray, slates: IntArray, filled: IntArray, exclude: IntArray, step: int) -> None:
        """Fill the first columns of slates (B, S) with exploration, and count them in ``filled`` (B,)."""


class Popular(Greedy):
    """Greedy without personalisation: every user has the same rates.

    rate[u, c] = rate[c]; all else, the exclusion of what was seen included, is greedy's.
    """

    name = "popular"

    def own_rates(self, users: IntArray, rate: FloatArray) -> FloatArray:
        """(A, C) float32 the same rates for all."""
        return np.broadcast_to(rate.astype(np.float32), (len(users), len(rate)))


class Exploring(Greedy):
    """Greedy, but for ``EXPLORED_SLOTS`` slots from random clusters that the user never consumed from.

    Uninformed: it does not estimate which ones the user might like. Where none is left, any cluster.
    """

    name = "exploring"

    def explore(self, user: IntArray, slates: IntArray, filled: IntArray, exclude: IntArray, step: int) -> None:
        """A random novel cluster's best item in each slot."""
        consumed = self.records.consumed[user]
        draws = self.stream.at("explore", self.world.day, step).uniform(user, EXPLORED_SLOTS)
        for one in range(EXPLORED_SLOTS):
            cluster = nth_unmarked(consumed, draws[:, one])
            fill_next(slates, filled, cluster, self.lists, exclude)
            consumed[np.arange(len(user)), cluster] = True


class Informed(Greedy):
    """Greedy, but for ``EXPLORED_SLOTS`` slots for the user's strongest dormant interests: an oracle.

    It reads hidden truth, which no recommender can: an upper bound on the value of exploration.
    A user without dormant interests gets greedy's slates.
    """

    name = "informed"

    def begin_day(self, users: IntArray) -> None:
        """Also rank live items by true interest."""
        super().begin_day(users)
        interest = self.world.truth.interest
        self.of_interest = RankedLists.of(self.live, interest, self.world.config.num_interests, self.lift)

    def explore(self, user: IntArray, slates: IntArray, filled: IntArray, exclude: IntArray, step: int) -> None:
        """The best item of each of the strongest dormant interests."""
        population = self.world.population
        felt: FloatArray = np.where(population.status[user] == DORMANT, population.affinity[user], -1.0)
        row = np.arange(len(user))
        for slot in np.argsort(-felt, axis=1, kind="stable")[:, :EXPLORED_SLOTS].T:
            interest = np.where(felt[row, slot] >= 0, population.interest[user, slot], -1).astype(np.int64)
            fill_next(slates, filled, interest, self.of_interest, exclude)
