"""Interest clusters: the platform's own topics (public).

A nested four-level tree over items, made from embeddings and traffic alone (Wang et al. 2024,
section 3.1); ``sim.hidden.clustering`` builds it. Level 2 is the level that planners plan on, and its
clusters carry keywords.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sim.arrays import BoolArray, FloatArray, IntArray, readonly
from sim.errors import InvalidInput
from sim.files import written_whole

NUM_LEVELS = 4
_ARRAYS = ("path", "centroid", "offset")
_CLOSE = 1e-5  # scores in float32 that differ by less may be in another order elsewhere


@dataclass(frozen=True)
class InterestClusters:
    """The cluster tree. Immutable.

    Attributes:
        path: (L, 4) int32; row ``i`` is leaf ``i`` (a level-4 cluster) and names its cluster at
            each level; column 3 is ``arange(L)``.
        centroid: (L, 256) float32, unit-length mean embedding of each leaf's items.
        keywords: one tuple of keywords a level-2 cluster; no two clusters have the same tuple.
        offset: (L,) float32, what ``file`` takes from the cosine with each leaf, so that clusters stay
            balanced; without it, 0.
    """

    path: IntArray
    centroid: FloatArray
    keywords: tuple[tuple[str, ...], ...]
    offset: FloatArray = field(default_factory=lambda: np.zeros(1, np.float32))

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", readonly(np.ascontiguousarray(self.path, np.int32)))
        object.__setattr__(self, "centroid", readonly(np.ascontiguousarray(self.centroid, np.float32)))
        offset = np.broadcast_to(np.asarray(self.offset, np.float32), (len(self.path),))
        object.__setattr__(self, "offset", readonly(np.ascontiguousarray(offset)))
        descriptions = [self.description(c) for c in range(self.num_clusters)]
        if "" in descriptions:
            raise InvalidInput("clusters.keywords", descriptions.index(""), "this cluster has no keywords")
        if len(set(descriptions)) < len(descriptions):
            twice = max(descriptions, key=descriptions.count)
            raise InvalidInput("clusters.keywords", twice, "must be unique to one cluster")

    @property
    def num_clusters(self) -> int:
        """Number of level-2 clusters, M."""
        return len(self.keywords)

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Number of clusters at levels 1 to 4."""
        return tuple(int(self.path[:, level].max()) + 1 for level in range(NUM_LEVELS))

    @cached_property
    def parent(self) -> IntArray:
        """(M,) int32: the level-1 cluster above each level-2 cluster."""
        above = np.empty(self.num_clusters, np.int32)
        above[self.path[:, 1]] = self.path[:, 0]
        return readonly(above)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of tree, centroids, offsets and keywords: identifies the clusters that a table was made for."""
        content = hashlib.sha256(json.dumps(self.keywords).encode())
        content.update(self.path.tobytes())
        content.update(self.centroid.tobytes())
        content.update(self.offset.tobytes())
        return content.hexdigest()

    def description(self, cluster: int) -> str:
        """The level-2 cluster in words: its keywords, joined by commas. Unique."""
        return ", ".join(self.keywords[cluster])

    @cached_property
    def centroid_2(self) -> FloatArray:
        """(M, 256) float32: unit-length mean of the leaves' centroids of each level-2 cluster."""
        total = np.zeros((self.num_clusters, self.centroid.shape[1]), np.float32)
        np.add.at(total, self.path[:, 1], self.centroid)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return readonly(np.asarray(total / np.maximum(length, 1e-12), np.float32))

    def siblings(self) -> tuple[IntArray, BoolArray]:
        """For each level-2 cluster the nearest other one, and whether both are probably of one interest.

        A large topic has several clusters, and two clusters of one topic have nearly the same centroid. The cosines
        between each cluster and its nearest are cut in two groups where the variance between the groups is largest
        (Otsu 1979, "A threshold selection method from gray-level histograms"); those of the upper group are
        siblings. No truth is needed. The rule always makes two groups: where no topic has two clusters, or every
        topic has, its answer says little.

        Returns:
            nearest: (M,) int32, the other cluster with the largest cosine of centroids; ties go to the lower number;
                0 where there is no other.
            sibling: (M,) bool, whether the cosine with it is in the upper group.
        """
        cosine = self.centroid_2 @ self.centroid_2.T  # (M, M)
        np.fill_diagonal(cosine, -np.inf)
        nearest = cosine.argmax(axis=1).astype(np.int32)
        largest = cosine.max(axis=1).astype(np.float64)
        return nearest, largest > _two_groups(largest)

    def file(self, embedding: FloatArray) -> IntArray:
        """File items under the leaf with the largest cosine between centroid and item, less the offset.

        Args:
            embedding: (n, 256) float.

        Returns:
            (n, 4) int32, the cluster at each level.
        """
        leaf = np.empty(len(embedding), np.int64)
        for start in range(0, len(embedding), 4096):
            block = embedding[start : start + 4096].astype(np.float32)
            leaf[start : start + 4096] = self._best_leaf(block)
        return np.asarray(self.path[leaf])

    def _best_leaf(self, block: FloatArray) -> IntArray:
        """(b,) the best leaf of each item (b, 256); see ``file``.

        A product of matrices rounds by the number of threads and of rows. Leaves that it cannot tell apart are
        compared once more, by sums that do not.
        """
        score = block @ self.centroid.T - self.offset  # (b, L)
        best = score.argmax(axis=1)
        close = score >= np.take_along_axis(score, best[:, None], axis=1) - _CLOSE
        for row in np.flatnonzero(close.sum(axis=1) > 1):
            leaf = np.flatnonzero(close[row])
            products = self.centroid[leaf].astype(np.float64) * block[row]
            best[row] = leaf[(products.sum(axis=1) - self.offset[leaf]).argmax()]
        return np.asarray(best)

    def save(self, path: Path) -> None:
        """Write safetensors, whole or not at all."""
        with written_whole(path) as temporary:
            arrays = {name: np.array(getattr(self, name)) for name in _ARRAYS}
            save_file(arrays, temporary, metadata={"keywords": json.dumps(self.keywords)})

    @staticmethod
    def load(path: Path) -> "InterestClusters":
        """Read what ``save`` wrote.

        Raises:
            InvalidInput: not such a file, or truncated.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                keywords = tuple(map(tuple, json.loads(file.metadata()["keywords"])))
                return InterestClusters(keywords=keywords, **{name: file.get_tensor(name) for name in _ARRAYS})
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput("clusters file", str(path), f"must be a whole clusters file ({error})") from None


def _two_groups(values: FloatArray) -> float:
    """The largest value of the lower of the two groups that ``values`` (n,) fall into; the maximum if all are equal."""
    ordered = np.sort(values)
    if ordered[0] == ordered[-1]:
        return float(ordered[-1])
    below = np.arange(1, len(values))  # size of the lower group
    above = below[::-1]
    total = np.cumsum(ordered)
    difference = total[:-1] / below - (total[-1] - total[:-1]) / above  # of the groups' means
    return float(ordered[(below * above * difference**2).argmax()])
