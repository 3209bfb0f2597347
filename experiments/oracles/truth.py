"""What clusters really are and who loves them: the truth, which no agent may see."""

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.tree import PersonaLinks


def majority_interests(
    interest: IntArray, cluster: IntArray, num_clusters: int, num_interests: int
) -> tuple[IntArray, FloatArray]:
    """The interest that most of a cluster's items belong to, of items' (n,) interests and level-2 clusters.

    Returns:
        (M,) int64, ties to the lower number, -1 for a cluster without items; and (M,) float64, the share of its items
        that belong to it, 0 without items.
    """
    count = np.zeros((num_clusters, num_interests), np.int64)
    np.add.at(count, (cluster, interest), 1)
    size = count.sum(axis=1)
    most = np.where(size > 0, count.argmax(axis=1), -1)
    return most, count.max(axis=1) / np.maximum(size, 1)


def personas_of_clusters(links: PersonaLinks, interest_of_cluster: IntArray, num_interests: int) -> BoolArray:
    """(P, M) bool: which personas name which clusters' interests (M,), -1 = none, by their links today."""
    named = links.dense(num_interests) > 0  # (P, I)
    return np.asarray(named[:, interest_of_cluster] & (interest_of_cluster >= 0))


def sharing(personas: BoolArray, pair: tuple[int, int]) -> BoolArray:
    """(M, 2) bool: which clusters share one of the personas (P, M) with the first and with the second of a pair."""
    return np.stack([(personas & personas[:, [cluster]]).any(axis=0) for cluster in pair], axis=1)
