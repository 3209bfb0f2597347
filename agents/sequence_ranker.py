"""The sequence model's softmax, restricted to some clusters."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agents.base import Agent, Recommendations
from agents.random import uniform_probability, uniform_slate
from agents.ranker import Ranker
from agents.sequence import SequenceAgent
from agents.slate import sample_slate, slate_probability
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Positive, Share, checks_arguments


@checks_arguments
class SequenceRanker(Ranker):
    """Ranks by the production model masked to the allowed clusters (Wang et al. 2024, section 3.2).

    pi(j | history, clusters) ~ exp(h . v_j + b_j) for live items j of the clusters, and 0 for all
    others: exact, and at a cost linear in the clusters' items and the exclusions. Where production is no
    ``SequenceAgent``, the ranker trains one of its own.

    Args:
        temperature: of the exploring softmax.
        exploration: probability that a slot explores.
    """

    def __init__(self, temperature: Positive = 1.0, exploration: Share = 0.1) -> None:
        self.temperature, self.exploration = temperature, exploration
        self.model = SequenceAgent()
        self._owns_model = True

    def bind(self, production: Agent) -> None:
        """Share production's model, if it is a sequence model; the experiment trains it."""
        if isinstance(production, SequenceAgent):
            self.model, self._owns_model = production, False

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Train the model, unless it is production's."""
        self._meet(platform)
        if self._owns_model:
            self.model.fit(platform, log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train the model, unless it is production's."""
        if self._owns_model:
            self.model.update(log, rng)

    def _meet(self, platform: Platform) -> None:
        super()._meet(platform)
        self._filed: tuple[int, IntArray, IntArray, IntArray] | None = None  # see ``_items_by_cluster``

    def rank(self, requests: Requests, allowed: IntArray | None, rng: RandomStream) -> Recommendations:
        """See ``Ranker.rank``. Propensities are given ``allowed``.

        Before the model has seen a positive, items are equally likely instead.
        """
        state = self.model.encode(requests)
        if allowed is None:
            return self._rank_all(requests, state, rng)
        row, item = self._candidates(allowed, requests.exclude)  # flat
        scores = self._flat_scores(state, row, item)
        # How many slots the clusters can fill; the same for almost everyone, so the loop is short.
        num_within = np.minimum(np.bincount(row, minlength=len(requests)), requests.num_slots)  # (B,)
        items = np.empty((len(requests), requests.num_slots), np.int64)
        propensity = np.empty(items.shape, np.float32)
        for num in np.unique(num_within):
            rows = np.flatnonzero(num_within == num)
            padded = _padded(row, item, scores, rows, len(requests))
            within = self._sample(*padded, int(num), requests.user[rows], rng)
            items[rows, :num], propensity[rows, :num] = within.items, within.propensity
            if num < requests.num_slots:
                remaining = requests.where(rows).after(within.items)
                rest = self._rank_all(remaining, state[torch.from_numpy(rows)], rng.at("rest"))
                items[rows, num:], propensity[rows, num:] = rest.items, rest.propensity
        return Recommendations(items, propensity)

    def probability(self, requests: Requests, allowed: IntArray | None, item: IntArray) -> FloatArray:
        """See ``Ranker.probability``; given ``allowed``."""
        state = self.model.encode(requests)
        probability = np.zeros(len(requests))
        within = np.zeros(len(requests), bool)
        if allowed is not None:
            row, candidate = self._candidates(allowed, requests.exclude)  # flat
            within = np.bincount(row, minlength=len(requests)) > 0
            rows = np.flatnonzero(within)
            padded = _padded(row, candidate, self._flat_scores(state, row, candidate), rows, len(requests))
            probability[rows] = self._probability(*padded, item[rows])
        others = np.flatnonzero(~within)
        if len(others) and self.model.trained:
            pool = self.model.best(state[torch.from_numpy(others)], requests.exclude[others])
            probability[others] = self._probability(*pool, item[others])
        elif len(others):
            live, asked = self.platform.live_items(), item[others, None]
            probability[others] = uniform_probability(live, requests.where(others), asked, asked)[:, 0]
        return probability

    def _probability(self, scores: FloatArray, items: IntArray, item: IntArray) -> FloatArray:
        exploration = self.exploration if self.model.trained else 1.0
        asked = item[:, None]
        return slate_probability(scores, items, asked, asked, self.temperature, exploration)[:, 0]

    def _flat_scores(self, state: Tensor, row: IntArray, item: IntArray) -> FloatArray:
        """(total,) float32 of items for the users of rows (total,); 0 before the model has seen a positive."""
        if not self.model.trained:
            return np.zeros(len(row), np.float32)
        return np.asarray(self.model.scores(state[torch.from_numpy(row)], item[:, None]).numpy()[:, 0])

    def _rank_all(self, requests: Requests, state: Tensor, rng: RandomStream) -> Recommendations:
        """Fill every slot from all clusters, over the user's best items as production does."""
        if not self.model.trained:
            return uniform_slate(self.platform.live_items(), requests, rng)
        pool = self.model.best(state, requests.exclude)
        return self._sample(*pool, requests.num_slots, requests.user, rng)

    def _sample(
        self, scores: FloatArray, items: IntArray, num_slots: int, user: IntArray, rng: RandomStream
    ) -> Recommendations:
        exploration = self.exploration if self.model.trained else 1.0
        return sample_slate(scores, items, num_slots, self.temperature, exploration, user, rng)

    def _candidates(self, allowed: IntArray, exclude: IntArray) -> tuple[IntArray, IntArray]:
        """What may be shown: live items of each row's clusters (B, n), without its exclusions (B, X).

        Returns:
            Rows and items, (total,) int64 each, sorted by row; a cluster named twice counts once.
        """
        items, begin, place_of = self._items_by_cluster()
        cluster = np.sort(allowed, axis=1)
        named = cluster >= 0
        named[:, 1:] &= cluster[:, 1:] != cluster[:, :-1]
        row, column = np.nonzero(named)
        first = begin[cluster[row, column]]
        length = begin[cluster[row, column] + 1] - first
        start = np.zeros(named.shape, np.int64)  # where the items of each named cluster begin among all candidates
        start[row, column] = np.cumsum(length) - length
        row = np.repeat(row, length)
        place = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(len(row))  # into ``items``
        kept = np.ones(len(row), bool)
        excluded = np.where(exclude >= 0, place_of[exclude], -1)  # (B, X) places, -1 where not alive
        for n in range(cluster.shape[1]):
            begins = np.where(named[:, n], begin[cluster[:, n]], len(items))[:, None]
            ends = np.where(named[:, n], begin[cluster[:, n] + 1], len(items))[:, None]
            user, which = np.nonzero((excluded >= begins) & (excluded < ends))
            kept[start[user, n] + excluded[user, which] - begins[user, 0]] = False
        return row[kept], items[place[kept]]

    def _items_by_cluster(self) -> tuple[IntArray, IntArray, IntArray]:
        """Today's live items by cluster; computed once a day.

        Returns:
            The items sorted by cluster; where each cluster begins, (M + 1,); and the place of every
            uploaded item among them, -1 if it is not alive.
        """
        platform = self.platform
        if self._filed is None or self._filed[0] != platform.day:
            live = platform.live_items()
            cluster = platform.cluster_of_item[live]
            begin = np.searchsorted(np.sort(cluster), np.arange(platform.clusters.num_clusters + 1))
            items = live[np.argsort(cluster, kind="stable")]
            place_of = np.full(platform.catalog.num_items, -1)
            place_of[items] = np.arange(len(items))
            self._filed = (platform.day, items, begin, place_of)
        return self._filed[1], self._filed[2], self._filed[3]

    def save(self, folder: Path) -> None:
        """Write the model, unless it is production's."""
        if self._owns_model:
            self.model.save(folder)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self._meet(platform)
        if self._owns_model:
            self.model.load(folder, platform)


def _padded(
    row: IntArray, item: IntArray, scores: FloatArray, rows: IntArray, num_rows: int
) -> tuple[FloatArray, IntArray]:
    """The flat scores and items of some rows as (b, longest) arrays, padded with -inf and -1."""
    begin = np.searchsorted(row, np.arange(num_rows + 1))
    length = (begin[1:] - begin[:-1])[rows]
    place = np.arange(length.max(initial=0))  # (longest,)
    inside = place < length[:, None]  # (b, longest)
    index = (begin[rows, None] + place)[inside]
    padded_scores = np.full(inside.shape, -np.inf, np.float32)
    padded_items = np.full(inside.shape, -1, np.int64)
    padded_scores[inside], padded_items[inside] = scores[index], item[index]
    return padded_scores, padded_items
