"""Rankers that ignore the user: search by the cluster's keywords, and a uniform draw."""

import abc
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agents.base import Recommendations
from agents.bm25 import WordCounts, bm25
from agents.random import uniform_probability, uniform_slate
from agents.ranker import Ranker
from agents.slate import joined, sample_slate, slate_probability, top_in_chunks
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Positive, Share, checks_arguments

_CHUNK_CELLS = 8_000_000  # (users, items) or (users, candidates) held at a time


@dataclass(frozen=True)
class Shelves:
    """The items that each of M clusters offers on a day.

    Attributes:
        items: (M, C) int64, distinct in a row, alive, -1 pads.
        scores: (M, C) float32, of the items; higher is better.
    """

    items: IntArray
    scores: FloatArray

    def candidates(self, allowed: IntArray, exclude: IntArray, num_items: int) -> tuple[IntArray, FloatArray]:
        """What users are offered by their clusters (b, n), -1 pads, without the items that they exclude (b, X).

        Returns:
            Items (b, nC), -1 where there is none, and their scores (b, nC). An item that several clusters offer
            counts once, at its best score.
        """
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
        """See ``Ranker.rank``; propensities are given ``allowed``.

        Slots that the allowed clusters cannot fill take any live item, each as likely.
        """
        if allowed is None:
            return uniform_slate(self.platform.live_items(), requests, rng)
        return joined(
            [
                self._fill(items, scores, requests.where(rows), rng)
                for rows, items, scores in self._candidates(requests, allowed)
            ]
        )

    def probability(self, requests: Requests, allowed: IntArray | None, item: IntArray) -> FloatArray:
        """See ``Ranker.probability``; given ``allowed``."""
        asked = item[:, None]
        probability = uniform_probability(self.platform.live_items(), requests, asked, asked)  # (B, 1)
        for rows, items, scores in () if allowed is None else self._candidates(requests, allowed):
            some, here = (items >= 0).any(axis=1), asked[rows]
            within = slate_probability(scores, items, here, here, self.temperature, self.exploration)
            probability[rows[some]] = within[some]
        return probability[:, 0]

    def _candidates(self, requests: Requests, allowed: IntArray) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Rows (b,) of the requests, not too many at a time, and what ``Shelves.candidates`` says of them."""
        shelves, num_items = self._shelves_today(), self.platform.catalog.num_items
        size = max(1, _CHUNK_CELLS // max(num_items, allowed.shape[1] * shelves.items.shape[1]))
        for start in range(0, max(len(requests), 1), size):  # of nobody, one empty part
            rows = np.arange(start, min(start + size, len(requests)))
            yield rows, *shelves.candidates(allowed[rows], requests.exclude[rows], num_items)

    def _fill(self, items: IntArray, scores: FloatArray, requests: Requests, rng: RandomStream) -> Recommendations:
        """Slates from candidates (b, C), -1 pads, and where these do not suffice from all live items."""
        num_slots, live = requests.num_slots, self.platform.live_items()
        num_within = np.minimum((items >= 0).sum(axis=1), num_slots)  # the same for almost everyone
        slate = np.empty((len(requests), num_slots), np.int64)
        propensity = np.empty(slate.shape, np.float32)
        for num in np.unique(num_within).tolist():
            rows = np.flatnonzero(num_within == num)
            user = requests.user[rows]
            within = sample_slate(scores[rows], items[rows], num, self.temperature, self.exploration, user, rng)
            slate[rows, :num], propensity[rows, :num] = within.items, within.propensity
            if num < num_slots:
                rest = uniform_slate(live, requests.where(rows).after(within.items), rng.at("rest"))
                slate[rows, num:], propensity[rows, num:] = rest.items, rest.propensity
        return Recommendations(slate, propensity)


class RandomWithinClusterRanker(_ShelfRanker):
    """Every live item of the planned clusters is equally likely: shows the value of a plan alone.

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
    filed in other clusters too: a search engine does not use clusters. The score is BM25 (``agents.bm25``;
    ties go to the older item), the same for every user, and computed once a day. Users get what they have
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
        relevance = bm25(self._queries, texts)  # (M, n) sparse

        def scores(clusters: slice) -> FloatArray:
            dense = relevance[clusters].toarray().astype(np.float32)
            dense[dense == 0] = -np.inf  # shares no word
            return np.asarray(dense)

        nothing = np.empty((relevance.shape[0], 0), np.int64)
        best, items = top_in_chunks(scores, live, nothing, self.hits)
        return Shelves(items, best)
