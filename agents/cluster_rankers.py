"""Rankers that know nothing of the user: search by the cluster's keywords, and chance."""

import abc
from dataclasses import dataclass

import numpy as np

from agents.base import Recommendations
from agents.bm25 import WordCounts, bm25
from agents.random import uniform_probability, uniform_slate
from agents.ranker import Ranker
from agents.slate import sample_slate, slate_probability, top_in_chunks
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Positive, Share, checks_arguments

_CHUNK_CELLS = 8_000_000  # (users, items) or (users, candidates) held at a time


@dataclass(frozen=True)
class Shelves:
    """What each of M clusters has to offer on a day.

    Attributes:
        items: (M, C) int64, distinct in a row, alive, -1 pads.
        scores: (M, C) float32, of the items; higher is better.
    """

    items: IntArray
    scores: FloatArray

    def slates(
        self,
        platform: Platform,
        requests: Requests,
        allowed: IntArray | None,
        temperature: float,
        exploration: float,
        rng: RandomStream,
    ) -> Recommendations:
        """Sample slates (``agents.slate``) from the allowed clusters' items, without those excluded.

        Slots that these cannot fill, and all where ``allowed`` is None, take any live item, each as likely.

        Args:
            platform: whose items are alive today.
            requests: B users.
            allowed: (B, n) int32 clusters, -1 pads; an item that several of them offer counts once, at
                its best score.
            temperature, exploration: see ``sample_slate``.
            rng: this call's randomness.
        """
        live = platform.live_items()
        if allowed is None:
            return uniform_slate(live, requests, rng)
        num_items = platform.catalog.num_items
        size = max(1, _CHUNK_CELLS // max(num_items, allowed.shape[1] * self.items.shape[1]))
        parts = []
        for start in range(0, len(requests), size):
            rows = np.arange(start, min(start + size, len(requests)))
            some = requests.where(rows)
            items, scores = self._candidates(allowed[rows], some.exclude, num_items)
            parts.append(_fill(items, scores, some, live, temperature, exploration, rng))
        items = np.concatenate([part.items for part in parts] or [np.empty((0, requests.num_slots), np.int64)])
        propensity = [part.propensity for part in parts if part.propensity is not None]
        return Recommendations(items, np.concatenate(propensity or [np.empty(items.shape, np.float32)]))

    def probability(
        self,
        platform: Platform,
        requests: Requests,
        allowed: IntArray | None,
        item: IntArray,
        temperature: float,
        exploration: float,
    ) -> FloatArray:
        """Tell how likely ``slates`` is to put items (B,) into the first slot, (B,) float64."""
        asked, live = item[:, None], platform.live_items()
        found = uniform_probability(live, requests, asked, asked)  # (B, 1)
        if allowed is None:
            return found[:, 0]
        num_items = platform.catalog.num_items
        size = max(1, _CHUNK_CELLS // max(num_items, allowed.shape[1] * self.items.shape[1]))
        for start in range(0, len(requests), size):
            rows = np.arange(start, min(start + size, len(requests)))
            items, scores = self._candidates(allowed[rows], requests.exclude[rows], num_items)
            some = (items >= 0).any(axis=1)
            within = slate_probability(scores, items, asked[rows], asked[rows], temperature, exploration)
            found[rows[some]] = within[some]
        return found[:, 0]

    def _candidates(self, allowed: IntArray, exclude: IntArray, num_items: int) -> tuple[IntArray, FloatArray]:
        """Items (b, nC), -1 where there is none, and their scores (b, nC)."""
        every = np.arange(len(allowed))[:, None]
        named = (allowed >= 0)[:, :, None]
        items = np.where(named, self.items[allowed], -1).reshape(len(allowed), -1)
        scores = self.scores[allowed].reshape(items.shape)
        if allowed.shape[1] > 1:  # sort a row by item, then from its best score on, and keep the first of each
            order = np.lexsort((-scores, items), axis=1)
            items, scores = items[every, order], scores[every, order]
            items[:, 1:][items[:, 1:] == items[:, :-1]] = -1
        barred: BoolArray = np.zeros((len(allowed), num_items + 1), bool)
        barred[every, exclude] = True  # the pad -1 marks the last column, which belongs to no item
        items[barred[every, items]] = -1
        return items, scores


def _fill(
    items: IntArray,
    scores: FloatArray,
    requests: Requests,
    live: IntArray,
    temperature: float,
    exploration: float,
    rng: RandomStream,
) -> Recommendations:
    """Slates from candidates (b, C), -1 pads, and where these do not suffice from all live items."""
    num_slots = requests.num_slots
    num_within = np.minimum((items >= 0).sum(axis=1), num_slots)  # the same for almost everyone
    slate = np.empty((len(requests), num_slots), np.int64)
    propensity = np.empty(slate.shape, np.float32)
    for num in np.unique(num_within).tolist():
        rows = np.flatnonzero(num_within == num)
        within = sample_slate(scores[rows], items[rows], num, temperature, exploration, requests.user[rows], rng)
        slate[rows, :num], propensity[rows, :num] = within.items, within.propensity
        if num < num_slots:
            rest = uniform_slate(live, requests.where(rows).after(within.items), rng.at("rest"))
            slate[rows, num:], propensity[rows, num:] = rest.items, rest.propensity
    return Recommendations(slate, propensity)


class _ShelfRanker(Ranker):
    """Draws from shelves of items, one a cluster, that are the same for everybody and made once a day.

    Attributes:
        temperature: of the exploring softmax.
        exploration: probability that a slot explores.
    """

    temperature: float
    exploration: float

    def _meet(self, platform: Platform) -> None:
        super()._meet(platform)
        self._made: tuple[int, Shelves] | None = None  # the day, and its shelves

    @abc.abstractmethod
    def _shelves(self) -> Shelves:
        """Today's."""

    def _shelves_today(self) -> Shelves:
        if self._made is None or self._made[0] != self.platform.day:
            self._made = (self.platform.day, self._shelves())
        return self._made[1]

    def rank(self, requests: Requests, allowed: IntArray | None, rng: RandomStream) -> Recommendations:
        """See ``Ranker.rank``; propensities are given ``allowed``."""
        shelves = self._shelves_today()
        return shelves.slates(self.platform, requests, allowed, self.temperature, self.exploration, rng)

    def probability(self, requests: Requests, allowed: IntArray | None, item: IntArray) -> FloatArray:
        """See ``Ranker.probability``; given ``allowed``."""
        shelves = self._shelves_today()
        return shelves.probability(self.platform, requests, allowed, item, self.temperature, self.exploration)


class RandomWithinClusterRanker(_ShelfRanker):
    """Every live item of the planned clusters is equally likely: what a plan alone is worth.

    The propensity of a slot is 1 / (number of items left in the clusters).
    """

    temperature = exploration = 1.0

    def _shelves(self) -> Shelves:
        """Today's live items by cluster."""
        live = self.platform.live_items()
        cluster = self.platform.cluster_of_item[live]
        by_cluster = np.argsort(cluster, kind="stable")
        length = np.bincount(cluster, minlength=self.platform.clusters.num_clusters)
        place = np.arange(len(live)) - np.repeat(np.cumsum(length) - length, length)
        items = np.full((len(length), int(length.max(initial=0))), -1, np.int64)
        items[cluster[by_cluster], place] = live[by_cluster]
        return Shelves(items, np.zeros(items.shape, np.float32))


@checks_arguments
class SearchRanker(_ShelfRanker):
    """Searches for the planned cluster's keywords: the "straightforward approach" of Wang et al. 2024.

    The query is the cluster's keywords, the texts are the titles and hashtags of all live items, those
    filed in other clusters too: a search engine knows of no clusters. The score is BM25 (``agents.bm25``;
    ties go to the older item), the same for every user, and found once a day. Users get what they have
    not seen of the ``hits`` best items that share a word with the query.

    Args:
        temperature: of the exploring softmax, in BM25's units.
        exploration: probability that a slot explores.
        hits: items kept a cluster; more than a user is kept from seeing again.
    """

    def __init__(self, temperature: Positive = 1.0, exploration: Share = 0.1, hits: Count = 200) -> None:
        self.temperature, self.exploration = temperature, exploration
        self.hits = hits

    def _meet(self, platform: Platform) -> None:
        super()._meet(platform)
        self._words = WordCounts(platform.catalog.vocabulary)
        self._queries = self._words.of_phrases(list(platform.clusters.keywords))  # (M, W)

    def _shelves(self) -> Shelves:
        """Today's best hits of each cluster's query."""
        live, catalog = self.platform.live_items(), self.platform.catalog
        texts = self._words.of_terms(np.concatenate([catalog.title_terms, catalog.hashtag_terms], axis=1)[live])
        found = bm25(self._queries, texts)  # (M, n) sparse

        def scores(clusters: slice) -> FloatArray:
            dense = found[clusters].toarray().astype(np.float32)
            dense[dense == 0] = -np.inf  # shares no word
            return np.asarray(dense)

        nothing = np.empty((found.shape[0], 0), np.int64)
        best, items = top_in_chunks(scores, live, nothing, self.hits)
        return Shelves(items, best)
