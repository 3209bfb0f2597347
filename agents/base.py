"""All that the author of an agent needs: ``Agent``, ``Requests``, ``Recommendations``."""

import abc
from dataclasses import dataclass
from pathlib import Path

from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream

__all__ = ["Agent", "InteractionLog", "Learner", "Platform", "RandomStream", "Recommendations", "Requests"]


@dataclass(frozen=True)
class Recommendations:
    """Slates for B users.

    Attributes:
        items: (B, S) int64, distinct in a row, alive today, none of ``requests.exclude``.
        propensity: (B, S) float32 in (0, 1], the probability with which the agent puts that item
            in that slot given the slots before it; None where the agent cannot say.
        cluster: (B, S) int32, the level-2 cluster that was planned for the slot; None where no
            planner chose one.
    """

    items: IntArray
    propensity: FloatArray | None = None
    cluster: IntArray | None = None


class Learner(abc.ABC):
    """Base of everything that learns from a log, day by day: agents, planners and rankers.

    Attributes:
        platform: kept by ``fit`` and ``load`` unless they are overridden; stays live, so it shows today's items.
    """

    platform: Platform

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from the burn-in log, once. ``platform`` stays live: keep it to see today's items."""
        self._meet(platform)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from a day's rows, at its end."""

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs into an existing empty folder."""

    def load(self, folder: Path, platform: Platform) -> None:
        """Restore the state that ``save`` wrote; called instead of ``fit``."""
        self._meet(platform)

    def _meet(self, platform: Platform) -> None:
        self.platform = platform


class Agent(Learner):
    """Recommends slates to a batch of users and learns from their feedback.

    Randomness comes from the ``rng`` that each call brings: ``rng.uniform(requests.user, k)``
    draws k numbers a user which depend on that user alone, ``rng.generator()`` is an ordinary
    numpy generator (for shuffling a training set), ``rng.integer_seed()`` seeds a
    ``torch.Generator``. The global numpy and torch generators must not be touched.
    """

    def bind(self, production: "Agent") -> None:
        """Receive the platform's production recommender, once, before ``fit`` or ``load``.

        Agents that reuse it (as the hierarchical agent's ranker does, after Wang et al. 2024,
        section 3.2) keep the reference; it is trained by the experiment, not by them.
        """

    @abc.abstractmethod
    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Fill ``requests.num_slots`` slots for each user; called many times a day."""

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray | None:
        """The probability that ``recommend`` puts ``items`` where they are; optional, for off-policy evaluation.

        Args:
            requests: B users.
            items: (B, S) int64; column s is asked about in slot s. Any items.
            above: (B, S) int64; slots before s are taken to hold columns before s of these.
            rng: what ``recommend`` draws before its first item (a plan) is drawn from it here too, and given.

        Returns:
            (B, S) float in [0, 1], the probability of each item in its slot given what stands above it; None
            if the agent cannot say. Of an agent's own slates, and with the same ``rng``, it is what
            ``recommend`` returns as ``propensity``.
        """
        return None
