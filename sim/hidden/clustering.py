"""How the platform makes its interest clusters, from embeddings and traffic alone (public data).

After Wang et al. 2024, section 3.1 (and Chang et al. 2024): connect similar items in a graph
(``sim.hidden.similarity``), cut it into parts of equal traffic (``sim.hidden.partition``), merge the similar ones
into clusters (``sim.hidden.merging``), repeat for a tree of four levels, and describe each level-2 cluster by keywords
of its titles and hashtags. The paper does not name its algorithm.
"""

import numpy as np
import scipy.sparse as sparse
from scipy.special import entr

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.hidden.config import ClustersConfig
from sim.hidden.merging import merge_parts
from sim.hidden.partition import fair_weights, partition, partition_each
from sim.hidden.similarity import nearest, similarity_graph

_FILED_CAP = 1.1  # a cluster's traffic as filed, over what it should have, from which on its filing is hindered
_GREATEST_OFFSET = 0.1  # of cosine: nothing is filed under a leaf that is less similar by more
_TEMPERATURE = 0.01  # of cosine, within which an item counts in part for several clusters
_ROUNDS = 100
_FINE_PARTS = 4  # of each level-2 cluster on average, which merging makes clusters of
_FINE_ITEMS = 3  # in each such part, at least: traffic of single items is cut down so far that one cannot fill a part
_MOST_FINE_PARTS = 8192  # keeps the products of all pairs in half a gigabyte
_NEAREST_LEAVES = 16


def build_clusters(catalog: Catalog, items: IntArray, traffic: FloatArray, config: ClustersConfig) -> InterestClusters:
    """Cluster items into a four-level tree with bounded traffic.

    Args:
        catalog: the catalog.
        items: (n,) int64, the items to cluster (those alive).
        traffic: (n,) float, non-negative weight of each, e.g. 1 + watches.
        config: level sizes, neighbours, keywords.

    Raises:
        InvalidInput: fewer items than clusters.
    """
    return describe_tree(catalog, items, traffic, cut_tree(catalog, items, traffic, config), config)


def cut_tree(catalog: Catalog, items: IntArray, traffic: FloatArray, config: ClustersConfig) -> IntArray:
    """Cut the items' similarity graph into four nested levels.

    Level 2 is merged from a cut of the items' graph into four times as many parts of equal traffic. There, an item's
    traffic counts for at most a third of a part's, so that no cluster is one popular item. Clusters get at most 1.5
    times the mean traffic. So a topic with few items keeps a cluster of its own, and a large one is not cut into many.
    Every other level is cut into parts of equal traffic: level 1 from the graph of level-2 clusters, levels 3 and 4
    from the part of the items' graph within each cluster above.

    Returns:
        (n, 4) int32, the cluster of each of ``items`` at levels 1 to 4, none empty.

    Raises:
        InvalidInput: fewer items than clusters.
    """
    if config.level_2 > len(items) // 2:
        raise InvalidInput("world.clusters.level_2", config.level_2, f"must be at most half of the {len(items)} items")
    graph = similarity_graph(catalog.embedding[items], min(config.neighbours, len(items) - 1))
    weight = _whole_weights(traffic)
    fine = max(config.level_2, min(_FINE_PARTS * config.level_2, len(items) // 2, _MOST_FINE_PARTS))
    part = partition(graph, fair_weights(weight, _FINE_ITEMS * fine), fine)
    level_2 = merge_parts(catalog.embedding[items], fair_weights(weight, config.level_2), part, config.level_2)
    membership = sparse.csr_matrix((np.ones(len(items)), (np.arange(len(items)), level_2)))  # (n, M)
    between = (membership.T @ graph @ membership).tocsr()  # (M, M)
    level_1 = partition(between, np.bincount(level_2, weight).astype(np.int64), config.level_1)
    level_3 = partition_each(graph, weight, level_2, config.level_3_splits)
    level_4 = partition_each(graph, weight, level_3, config.level_4_splits)
    return np.stack([level_1[level_2], level_2, level_3, level_4], axis=1).astype(np.int32)


def describe_tree(
    catalog: Catalog, items: IntArray, traffic: FloatArray, tree: IntArray, config: ClustersConfig
) -> InterestClusters:
    """Give a cut tree its leaves' centroids, filing offsets and keywords.

    Args:
        catalog: the catalog.
        items: (n,) int64, the items that were clustered.
        traffic: (n,) float, their weights.
        tree: (n, 4) int32, what ``cut_tree`` made of them.
        config: level sizes, neighbours, keywords.
    """
    embedding = catalog.embedding[items].astype(np.float32)
    leaf, first = np.unique(tree[:, 3], return_index=True)
    path = tree[first]  # (L, 4)
    centroid = np.zeros((len(leaf), embedding.shape[1]), np.float32)
    np.add.at(centroid, tree[:, 3], embedding)
    centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
    weight = fair_weights(_whole_weights(traffic), config.level_2)
    load = np.bincount(tree[:, 1], weight)
    offset = filing_offsets(embedding, weight, centroid, path[:, 1], np.maximum(load, load.mean()))
    keywords = unique_keywords(catalog, items, tree[:, 1], config.level_2, config.keywords)
    return InterestClusters(path, centroid, keywords, offset)


def _whole_weights(traffic: FloatArray) -> IntArray:
    """Traffic in hundredths of its mean, at least 1: METIS wants whole numbers."""
    hundredths = np.rint(100 * traffic / max(traffic.mean(), 1e-12))
    return np.asarray(np.maximum(1, hundredths), np.int64)


def filing_offsets(
    embedding: FloatArray, weight: IntArray, centroid: FloatArray, cluster_of_leaf: IntArray, due: FloatArray
) -> FloatArray:
    """What to take from a leaf's similarity when filing, so that no level-2 cluster gets too much.

    Filing by the nearest centroid undoes part of the cut's balance. Filing by the largest
    cosine(i, l) - offset(c), c the level-2 cluster of leaf l, under a cap on every cluster's weight,
    cap(c) = 1.1 due(c), is optimal transport with capacities. Its dual at temperature t (Peyre & Cuturi 2019, sections
    4 and 5) is, over offsets of at least 0,

        min  sum_i w(i) t log sum_l exp((cosine(i, l) - offset(c)) / t)  +  sum_c cap(c) offset(c),

    whose gradient in offset(c) is cap(c) - load(c). Sinkhorn's step for it, with load(c) the weight
    softly filed under c and the offsets kept in [0, 0.1], is offset(c) += t log(load(c) / cap(c)).
    Clusters within the cap keep offset 0, and one far from all others keeps its items.

    Args:
        embedding: (n, E) float32, unit length.
        weight: (n,) int64, traffic of each item.
        centroid: (L, E) float32, unit length.
        cluster_of_leaf: (L,) int32, level-2 cluster of each leaf.
        due: (M,) float, what each level-2 cluster should weigh: its weight as cut, or the mean if that is more.

    Returns:
        (L,) float32, the same for all leaves of a level-2 cluster.
    """
    index, cosine = nearest(embedding, centroid, min(_NEAREST_LEAVES, len(centroid)))
    cluster = cluster_of_leaf[index]  # (n, k)
    count = int(cluster_of_leaf.max()) + 1
    cap = _FILED_CAP * due
    offset = np.zeros(count, np.float32)
    for _ in range(_ROUNDS):
        score = (cosine - offset[cluster]) / np.float32(_TEMPERATURE)
        share = np.exp(score - score.max(axis=1, keepdims=True))
        share *= (weight / share.sum(axis=1))[:, None]
        load = np.bincount(cluster.ravel(), share.ravel(), minlength=count)
        step = _TEMPERATURE * np.log(np.maximum(load, 1e-9 * cap) / cap)
        offset = np.clip(offset + step, 0, _GREATEST_OFFSET).astype(np.float32)
    return offset[cluster_of_leaf]


def unique_keywords(
    catalog: Catalog, items: IntArray, cluster: IntArray, num_clusters: int, num_keywords: int
) -> tuple[tuple[str, ...], ...]:
    """Describe clusters by the terms of titles and hashtags that are common in them and in few others.

    With p[c, t] the share of cluster c's terms that are t, and N[t] over how many clusters t is spread (the
    exponential of an entropy, "effective number"; Hill 1973), the score of term t in cluster c is

        p[c, t] / N[t]^2,    N[t] = exp(-sum_c q[c, t] log q[c, t]),    q[c, t] = p[c, t] / sum_c' p[c', t].

    Class-based TF-IDF (Grootendorst 2022) takes a term's frequency in all clusters in place of N. Terms of a whole
    theme ("beginner guides") are then among the first three of one cluster in ten, as they are hardly more frequent
    than a topic's own terms; but they are spread over more clusters. N without the square leaves some of them.

    The best ``num_keywords`` terms describe a cluster, or all of its terms if they are fewer. Exact
    match needs descriptions that differ, so a cluster whose description is taken already gets its
    next term too, and so on (in the end terms that it does not contain, in the vocabulary's order).

    Raises:
        InvalidInput: a cluster without any term.
    """
    terms = np.concatenate([catalog.title_terms[items], catalog.hashtag_terms[items]], axis=1)  # (n, T + G)
    row = np.repeat(cluster, terms.shape[1])
    flat = terms.ravel()
    row, flat = row[flat >= 0], flat[flat >= 0]
    size = (num_clusters, len(catalog.vocabulary))
    frequency = np.bincount(row.astype(np.int64) * size[1] + flat, minlength=size[0] * size[1]).reshape(size)
    share = frequency / np.maximum(frequency.sum(axis=1, keepdims=True), 1)  # (M, V)
    of_term = share / np.maximum(share.sum(axis=0), 1e-12)
    score = share / np.exp(2 * entr(of_term).sum(axis=0))
    ranked = np.argsort(-score, axis=1, kind="stable")
    contained = (frequency > 0).sum(axis=1)
    taken: set[tuple[str, ...]] = set()
    keywords = []
    for c in range(num_clusters):
        if contained[c] == 0:
            raise InvalidInput("clusters.keywords", c, "this cluster's items have neither titles nor hashtags")
        length = min(num_keywords, int(contained[c]))
        words = tuple(catalog.vocabulary[t] for t in ranked[c, :length])
        while words in taken and length < size[1]:
            length += 1
            words = tuple(catalog.vocabulary[t] for t in ranked[c, :length])
        taken.add(words)
        keywords.append(words)
    return tuple(keywords)
