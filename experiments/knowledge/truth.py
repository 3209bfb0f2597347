"""Which clusters go together, as the world's personas have it (hidden), and which personas are held out."""

from dataclasses import dataclass

import numpy as np

from agents.transitions import Transitions
from experiments.oracles.truth import majority_interests
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.hidden.world import World
from sim.random import RandomStream


@dataclass(frozen=True)
class CoInterests:
    """The personas' interests, seen through the platform's M clusters.

    Attributes:
        interest: (M,) int32, the interest that most of each cluster's items belong to; -1 for a
            cluster without items.
        weight: (P, M) float64 in [0, 1], how typical each cluster's interest is of each persona; 0 =
            the persona does not name it.
        purity: mean over clusters of the share of their items that belong to that interest.
    """

    interest: IntArray
    weight: FloatArray
    purity: float

    @property
    def different(self) -> BoolArray:
        """(M, M) bool, symmetric: whether two clusters belong to different interests."""
        return np.asarray(self.interest[:, None] != self.interest)

    def links(self, personas: BoolArray) -> BoolArray:
        """(M, M) bool, symmetric: different interests that one of the personas, a (P,) mask, names both."""
        named = (self.weight[personas] > 0).astype(np.int64)  # (p, M)
        return np.asarray((named.T @ named > 0) & self.different)

    def only_of(self, held_out: BoolArray) -> BoolArray:
        """(M, M) bool, symmetric: links that held-out personas (P,) explain and no other persona does."""
        return self.links(held_out) & ~self.links(~held_out)


def co_interests(world: World, clusters: InterestClusters) -> CoInterests:
    """Read the truth of a world on the day on which the platform's clusters were made.

    A cluster belongs to the interest of most of its live items, ties going to the lower number. Personas are as
    authored, before any drift, since language models cannot know drift.
    """
    live = np.flatnonzero(world.catalog.alive(world.day))
    filed = clusters.file(world.catalog.embedding[live])[:, 1]
    num_interests = world.config.num_interests
    interest, share = majority_interests(world.truth.interest[live], filed, clusters.num_clusters, num_interests)
    filled = interest >= 0
    strength = world.tree.links.dense(num_interests)  # (P, interests)
    weight = np.where(filled, strength[:, interest], 0.0)
    return CoInterests(interest.astype(np.int32), weight, float(share[filled].mean()))


def persona_folds(num_personas: int, folds: int, rng: RandomStream) -> IntArray:
    """(P,) int64 in 0 .. folds - 1: the fold in which each persona is held out; sizes differ by one at most."""
    fold = np.empty(num_personas, np.int64)
    fold[rng.generator().permutation(num_personas)] = np.arange(num_personas) % folds
    return fold


def without(transitions: Transitions, hidden: BoolArray) -> Transitions:
    """The transitions whose label is linked to neither cluster of the pair by ``hidden``, (M, M) and symmetric."""
    shows = hidden[transitions.first, transitions.label] | hidden[transitions.second, transitions.label]
    return transitions.where(~shows)


def shown_links(first: IntArray, second: IntArray, label: IntArray, interest: IntArray) -> BoolArray:
    """What samples [(first, second) -> label], (n,) clusters each, show to go together.

    Judged by interest (M,), not by cluster: where an interest has two clusters, one of them with a label reveals
    the other.

    Returns:
        (M, M) bool, symmetric: some sample has a cluster of the one's interest as label and one of the other's in
        its pair.
    """
    size = int(interest.max()) + 2  # the last row is that of -1
    shown = np.zeros((size, size), bool)
    for cluster in (first, second):
        shown[interest[cluster], interest[label]] = True
    shown |= shown.T
    return np.asarray(shown[np.ix_(interest, interest)])
