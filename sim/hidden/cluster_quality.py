"""How good the platform's clusters are: balance (public data) and agreement with the truth (hidden)."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters


@dataclass(frozen=True)
class ClusterQuality:
    """What is known of one clustering. Level-2 clusters as filed, unless said otherwise.

    Attributes:
        agreement: adjusted mutual information with the interests; 0 = chance, 1 = the same.
        imbalance_cut: traffic of the largest cluster over the mean, at levels 1 to 4, as cut.
        imbalance_filed: the same, as filed.
        imbalance_floor: the least possible, at levels 1 to 4: the heaviest item's traffic over the
            mean cluster's, at least 1.
        unique_keywords: share of clusters whose keywords no other cluster has.
        interests_found: share of interests that are the commonest of some cluster.
        new_items_at_home: share of items uploaded since the clustering that are filed under a
            cluster whose commonest interest is theirs; nan if there are none.
    """

    agreement: float
    imbalance_cut: tuple[float, ...]
    imbalance_filed: tuple[float, ...]
    imbalance_floor: tuple[float, ...]
    unique_keywords: float
    interests_found: float
    new_items_at_home: float


def cluster_quality(
    clusters: InterestClusters,
    tree: IntArray,
    catalog: Catalog,
    items: IntArray,
    traffic: FloatArray,
    interest: IntArray,
) -> ClusterQuality:
    """Measure balance, keywords and agreement with the hidden interests.

    Args:
        clusters: the clusters.
        tree: (n, 4) int32, the cut they were made from (``sim.hidden.clustering.cut_tree``).
        catalog: the catalog, with items uploaded since, if any.
        items: (n,) int64, the items that were clustered.
        traffic: (n,) float, their weights.
        interest: (num_items,) int32, the hidden interest of every item of the catalog.
    """
    from sklearn.metrics import adjusted_mutual_info_score  # takes most of a second to import

    filed = clusters.file(catalog.embedding[items])  # (n, 4)
    counts = np.zeros((clusters.num_clusters, int(interest.max()) + 1), np.int64)
    np.add.at(counts, (filed[:, 1], interest[items]), 1)
    commonest = np.where(counts.any(axis=1), counts.argmax(axis=1), -1)  # (M,)
    new = np.flatnonzero(catalog.upload_day > catalog.upload_day[items].max())
    at_home = commonest[clusters.file(catalog.embedding[new])[:, 1]] == interest[new]
    sizes = clusters.level_sizes
    return ClusterQuality(
        agreement=float(adjusted_mutual_info_score(interest[items], filed[:, 1])),
        imbalance_cut=traffic_imbalance(tree, traffic, sizes),
        imbalance_filed=traffic_imbalance(filed, traffic, sizes),
        imbalance_floor=tuple(max(1.0, float(traffic.max() / traffic.sum() * size)) for size in sizes),
        unique_keywords=sum(clusters.keywords.count(k) == 1 for k in clusters.keywords) / clusters.num_clusters,
        interests_found=len(set(commonest[commonest >= 0].tolist())) / len(set(interest[items].tolist())),
        new_items_at_home=float(at_home.mean()) if len(new) else float("nan"),
    )


def traffic_imbalance(cluster: IntArray, traffic: FloatArray, sizes: tuple[int, ...]) -> tuple[float, ...]:
    """Traffic of the largest cluster over the mean of all, empty ones included; 1 is perfect balance.

    Args:
        cluster: (n, levels) int, the cluster of each item at each level.
        traffic: (n,) float, of each item.
        sizes: the number of clusters at each level.

    Returns:
        One figure a level.
    """
    mean = traffic.sum() / np.array(sizes)
    return tuple(
        float(np.bincount(cluster[:, level], traffic, minlength=size).max() / mean[level])
        for level, size in enumerate(sizes)
    )
