"""The two upper levels of the interest clusters as feature vectors, for planners that walk down them."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.clusters import InterestClusters

_NEGLIGIBLE = 1e-6  # of the largest singular value: directions below hold rounding errors only


@dataclass(frozen=True)
class ClusterTree:
    """V level-1 clusters above M level-2 clusters, each with a k-d vector.

    Attributes:
        broad: (V, k) float64, vectors of the level-1 clusters.
        fine: (M, k) float64, vectors of the level-2 clusters.
        parent: (M,) int32, the level-1 cluster above each level-2 cluster.
    """

    broad: FloatArray
    fine: FloatArray
    parent: IntArray

    @staticmethod
    def of(clusters: InterestClusters, width: int) -> "ClusterTree":
        """Reduce the clusters' mean embeddings to their principal components.

        A cluster's embedding is the mean of its leaves' centroids, as a node's is the mean of its items
        in Song et al. (2022), since leaves carry equal traffic. The components are those of the level-2
        embeddings, with the sign that makes the entry of largest absolute value positive; both levels
        are centred and scaled alike, so that the mean squared length of ``fine`` is 1.

        Args:
            clusters: the clusters in force.
            width: principal components, k; fewer where the embeddings span fewer.
        """
        fine = _means(clusters.centroid, clusters.path[:, 1])
        broad = _means(clusters.centroid, clusters.path[:, 0])
        centre = fine.mean(axis=0)
        _, strength, direction = np.linalg.svd(fine - centre, full_matrices=False)
        direction = direction[:width][strength[:width] > _NEGLIGIBLE * strength[0]]  # (k, E)
        largest = np.abs(direction).argmax(axis=1)
        direction *= np.sign(direction[np.arange(len(direction)), largest])[:, None]
        fine, broad = (fine - centre) @ direction.T, (broad - centre) @ direction.T
        scale = np.sqrt(np.maximum((fine**2).sum(axis=1).mean(), 1e-12))
        return ClusterTree(broad / scale, fine / scale, clusters.parent)

    def best_children(self, score: FloatArray, broad: IntArray, free: BoolArray) -> IntArray:
        """(B,) the free level-2 cluster (B, M) of largest score (B, M) below level-1 clusters (B,)."""
        return np.asarray(np.where(free & (self.parent == broad[:, None]), score, -np.inf).argmax(axis=1))

    def with_free_child(self, free: BoolArray) -> BoolArray:
        """(B, V) bool: which level-1 clusters have a level-2 cluster that is free (B, M)."""
        open_below = np.zeros((len(free), len(self.broad)), bool)
        row, cluster = np.nonzero(free)
        open_below[row, self.parent[cluster]] = True
        return open_below


def _means(centroid: FloatArray, cluster: IntArray) -> FloatArray:
    """(C, E) float64 mean of the leaf centroids (L, E) of each cluster (L,)."""
    total = np.zeros((int(cluster.max()) + 1, centroid.shape[1]))
    np.add.at(total, cluster, centroid)
    return total / np.bincount(cluster)[:, None]
