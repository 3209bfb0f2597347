"""Popularity: what most people liked lately."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.slate import POOL, sample_slate, slate_probability, top_in_chunks
from sim.arrays import FloatArray, IntArray
from sim.records import Positive, Share, checks_arguments


@checks_arguments
class PopularAgent(Agent):
    """Ranks live items by discounted positives; the same ranking for everyone.

    An item's score is log(1 + sum over its positives of 2^(-age / half-life)), so that exploration
    at temperature 1 draws in proportion to popularity.

    Args:
        half_life_days: after how many days a positive counts half.
        temperature: of the exploring softmax.
        exploration: probability that a slot explores, over the 100 most popular items.
    """

    def __init__(self, half_life_days: Positive = 7.0, temperature: Positive = 1.0, exploration: Share = 0.1) -> None:
        self.half_life_days = half_life_days
        self.temperature = temperature
        self.exploration = exploration
        self._day = 0  # on which ``_popularity`` holds
        self._popularity: FloatArray = np.zeros(0)  # (n,) discounted positives

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Count the positives of the burn-in log."""
        self.platform = platform
        self._day, self._popularity = platform.day, np.zeros(platform.catalog.num_items)
        self.update(log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Discount the past and count the new rows' positives."""
        self._popularity, self._day = self._popularity_today(), self.platform.day
        liked = log.where(log.positive)
        weight = 0.5 ** ((self._day - liked.day) / self.half_life_days)
        np.add.at(self._popularity, liked.item, weight)

    def _popularity_today(self) -> FloatArray:
        """(n,) discounted positives as of today, of every item uploaded so far."""
        decay = 0.5 ** ((self.platform.day - self._day) / self.half_life_days)
        popularity = np.zeros(self.platform.catalog.num_items)
        popularity[: len(self._popularity)] = self._popularity * decay
        return popularity

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Take the most popular items that the user has not seen, exploring as the class says."""
        scores, items = self._pool(requests)
        return sample_slate(scores, items, requests.num_slots, self.temperature, self.exploration, requests.user, rng)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray:
        """See ``Agent.probability``."""
        return slate_probability(*self._pool(requests), items, above, self.temperature, self.exploration)

    def _pool(self, requests: Requests) -> tuple[FloatArray, IntArray]:
        """Each user's best items and their scores, (B, C)."""
        live = self.platform.live_items()
        score = np.log1p(self._popularity_today()[live]).astype(np.float32)
        # Nobody excludes more than X items, so the POOL + X most popular hold everyone's best POOL.
        head = np.sort(np.argsort(-score, kind="stable")[: POOL + requests.exclude.shape[1]])  # ascending ids
        return top_in_chunks(
            lambda chunk: np.tile(score[head], (chunk.stop - chunk.start, 1)), live[head], requests.exclude
        )

    def save(self, folder: Path) -> None:
        """Write the discounted counts and their day."""
        save_file({"popularity": self._popularity, "day": np.array([self._day])}, folder / "popular.safetensors")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        state = load_file(folder / "popular.safetensors")
        self.platform = platform
        self._popularity, self._day = state["popularity"], int(state["day"][0])
