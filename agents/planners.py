"""Planners that need no language: the controls of the LLM planner."""

from pathlib import Path

import numpy as np

from agents.discounted_counts import DiscountedCounts
from agents.novel_choice import best_first, choose_novel, choose_novel_by_slot
from agents.planner import Planner
from agents.transition_counts import TransitionCounts
from agents.transitions import HISTORY_DAYS, HISTORY_LENGTH, novel_transitions, sample_past
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Positive, checks_arguments


class RandomNovelPlanner(Planner):
    """Every cluster that the user never consumed from is equally likely: uniform exploration."""

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Draw novel clusters without replacement; see ``choose_novel`` for users who have none left."""
        nothing = np.empty((len(requests), 0), np.int32)
        consumed = self.platform.consumed_clusters(requests.user)
        return choose_novel(nothing, consumed, requests.num_slots, rng, requests.user)


@checks_arguments
class PopularNovelPlanner(Planner):
    """Plans the clusters with the most positives lately among those that the user never consumed from.

    A cluster's popularity is the sum over its positives of 2^(-age / half-life); the same order for
    everyone in a call, equally popular ones at random.

    Args:
        half_life_days: after how many days a positive counts half.
    """

    def __init__(self, half_life_days: Positive = 7.0) -> None:
        self.half_life_days = half_life_days

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Count the positives of the burn-in log."""
        self.platform = platform
        self._popularity = DiscountedCounts(self.half_life_days)  # of clusters
        self.update(log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Discount the past and count the new rows' positives."""
        liked = log.where(log.positive)
        self._popularity.add(self.platform.day, self.platform.clusters.num_clusters, liked.cluster, liked.day)

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Take the most popular novel clusters; see ``choose_novel`` for users who have none left."""
        consumed = self.platform.consumed_clusters(requests.user)  # (B, M)
        ranked = np.broadcast_to(best_first(self._popularity.latest, rng.at("ties")), consumed.shape)
        return choose_novel(ranked, consumed, requests.num_slots, rng, requests.user)

    def save(self, folder: Path) -> None:
        """Write the discounted counts and their day."""
        self._popularity.save(folder)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self.platform = platform
        self._popularity = DiscountedCounts(self.half_life_days)
        self._popularity.load(folder)


@checks_arguments
class TransitionCountPlanner(Planner):
    """Plans the clusters that most often followed: novel transitions, counted and smoothed (``TransitionCounts``).

    It memorises the transitions that the LLM is fine-tuned on (Wang et al. 2024, section 3.2).
    Each slot samples a pair from the user's history, as the LLM planner does, and takes the likeliest
    cluster that is new to the user.

    Args:
        smoothing: k of ``TransitionCounts``, prior observations at each level.
        history_days: how far back the pairs of training transitions reach, days; requests reach as far as the
            world's ``platform.history_days``, and a shorter reach here counts what is nearer.
        history_length: most consumed items that such a pair is sampled from, as in a request.
    """

    def __init__(
        self, smoothing: Positive = 20.0, history_days: Count = HISTORY_DAYS, history_length: Count = HISTORY_LENGTH
    ) -> None:
        self.smoothing = smoothing
        self.history_days, self.history_length = history_days, history_length

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Count the transitions of the burn-in log."""
        self.platform = platform
        self._counts = TransitionCounts(platform.clusters.num_clusters, self.smoothing)
        self._kept = InteractionLog.concatenate([])
        self.update(log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Count the transitions of the new rows, whose pairs may lie in the rows before them."""
        if len(log) == 0:
            return
        known = InteractionLog.concatenate([self._kept, log])
        transitions = novel_transitions(known, rng, self.history_days, self.history_length)
        self._counts.add(transitions.where(transitions.day >= int(log.day.min())))
        consumed = known.where(known.consumed)
        self._kept = consumed.where(_still_needed(consumed, self.history_days))

    def probabilities(self, pairs: IntArray) -> FloatArray:
        """``TransitionCounts.probabilities`` of all clusters for pairs (P, 2): (P, M) float64."""
        return self._counts.probabilities(pairs)

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Sample a pair a slot and take its likeliest cluster that is new to the user; of equals any."""
        num_slots = requests.num_slots
        pairs = sample_past(requests, num_slots, 2, rng.at("pairs"))  # (B, S, 2)
        consumed = self.platform.consumed_clusters(requests.user)  # (B, M)
        score = self.probabilities(pairs.reshape(-1, 2)).reshape(len(requests), num_slots, -1)
        score = np.where(consumed[:, None], -1.0, score)
        # Earlier slots take at most S - 1 clusters, so S candidates are enough.
        ranked = best_first(score, rng.at("ties"))[:, :, :num_slots]
        return choose_novel_by_slot(ranked, consumed, rng.at("fill"), requests.user)

    def save(self, folder: Path) -> None:
        """Write the counts and the log rows that coming transitions need."""
        self._counts.save(folder / "counts.safetensors")
        self._kept.write(folder / "history.parquet")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self.platform = platform
        self._counts = TransitionCounts.load(folder / "counts.safetensors", self.smoothing)
        self._kept = InteractionLog.read(folder / "history.parquet")


def _still_needed(consumed: InteractionLog, history_days: int) -> BoolArray:
    """(R,) bool: rows that may yet be part of a pair, and each user's first in a cluster (what is not novel)."""
    recent = consumed.day > int(consumed.day.max(initial=0)) - history_days
    key = consumed.user * (int(consumed.cluster.max(initial=0)) + 1) + consumed.cluster
    first = np.zeros(len(consumed), bool)
    first[np.unique(key, return_index=True)[1]] = True
    return np.asarray(recent | first)
