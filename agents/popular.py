"""Popularity: discounted positives."""

from pathlib import Path

import numpy as np

from agents.base import InteractionLog, Platform, RandomStream, Requests
from agents.discounted_counts import DiscountedCounts
from agents.pool_agent import PoolAgent
from agents.slate import POOL, top_in_chunks
from sim.arrays import FloatArray, IntArray
from sim.records import Positive, Share, checks_arguments


@checks_arguments
class PopularAgent(PoolAgent):
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
        self._popularity = DiscountedCounts(half_life_days)  # of items

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Count the positives of the burn-in log."""
        self.platform = platform
        self._popularity = DiscountedCounts(self.half_life_days)
        self.update(log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Discount the past and count the new rows' positives."""
        liked = log.where(log.positive)
        self._popularity.add(self.platform.day, self.platform.catalog.num_items, liked.item, liked.day)

    def _pool(self, requests: Requests) -> tuple[FloatArray, IntArray]:
        """Each user's best items and their scores, (B, C)."""
        live = self.platform.live_items()
        popularity = self._popularity.on(self.platform.day, self.platform.catalog.num_items)
        score = np.log1p(popularity[live]).astype(np.float32)
        # Nobody excludes more than X items, so the POOL + X most popular hold everyone's best POOL.
        head = np.sort(np.argsort(-score, kind="stable")[: POOL + requests.exclude.shape[1]])  # ascending ids
        return top_in_chunks(
            lambda chunk: np.tile(score[head], (chunk.stop - chunk.start, 1)), live[head], requests.exclude
        )

    def save(self, folder: Path) -> None:
        """Write the discounted counts and their day."""
        self._popularity.save(folder)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self.platform = platform
        self._popularity.load(folder)
