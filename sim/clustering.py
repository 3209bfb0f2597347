"""How the platform makes its interest clusters, from embeddings and traffic alone (public data).

After Wang et al. 2024, section 3.1 (and Chang et al. 2024): connect similar items in a graph,
cut it into parts of equal traffic, repeat for a tree of four levels, and describe each level-2
cluster by keywords of its titles and hashtags. The cut is METIS's balanced k-way partition
(Karypis & Kumar 1998); the paper does not name its algorithm.
"""

import numpy as np
import pymetis
import scipy.sparse as sparse

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.config import ClustersConfig
from sim.errors import InvalidInput

_BLOCK = 2048
_METIS_SEED = 20240501


def build_clusters(catalog: Catalog, items: IntArray, traffic: FloatArray, config: ClustersConfig) -> InterestClusters:
    """Cluster items into a four-level tree balanced by traffic.

    Level 2 is cut from the items' graph; level 1 from the graph of level-2 clusters; levels 3 and
    4 from the part of the items' graph within each cluster above.

    Args:
        catalog: the catalog.
        items: (n,) int64, the items to cluster (those alive).
        traffic: (n,) float, non-negative weight of each, e.g. 1 + watches.
        config: level sizes, neighbours, keywords.

    Raises:
        InvalidInput: fewer items than clusters.
    """
    if config.level_2 > len(items) // 2:
        raise InvalidInput("world.clusters.level_2", config.level_2, f"must be at most half of the {len(items)} items")
    embedding = catalog.embedding[items].astype(np.float32)
    graph = similarity_graph(embedding, min(config.neighbours, len(items) - 1))
    weight = np.maximum(1, np.rint(100 * traffic / max(traffic.mean(), 1e-12))).astype(np.int64)
    level_2 = partition(graph, weight, config.level_2)
    membership = sparse.csr_matrix((np.ones(len(items)), (np.arange(len(items)), level_2)))  # (n, M2)
    above = partition(
        (membership.T @ graph @ membership).tocsr(), np.bincount(level_2, weight).astype(np.int64), config.level_1
    )
    level_3 = _split_each(graph, weight, level_2, config.level_3_splits)
    level_4 = _split_each(graph, weight, level_3, config.level_4_splits)
    leaf, first = np.unique(level_4, return_index=True)
    path = np.stack([above[level_2[first]], level_2[first], level_3[first], leaf], axis=1)
    centroid = np.zeros((len(leaf), embedding.shape[1]), np.float32)
    np.add.at(centroid, level_4, embedding)
    centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
    keywords = unique_keywords(catalog, items, level_2, config.level_2, config.keywords)
    return InterestClusters(path.astype(np.int32), centroid, keywords)


def similarity_graph(embedding: FloatArray, neighbours: int) -> sparse.csr_matrix:
    """Symmetric graph of each item's nearest neighbours in cosine; exact, by blocks.

    Args:
        embedding: (n, E) float32, unit length.
        neighbours: k.

    Returns:
        (n, n) sparse, non-negative cosine similarities, zero diagonal.
    """
    n = len(embedding)
    columns, values = [], []
    for start in range(0, n, _BLOCK):
        similarity = embedding[start : start + _BLOCK] @ embedding.T  # (block, n)
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        nearest = np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours]
        columns.append(nearest)
        values.append(np.take_along_axis(similarity, nearest, axis=1))
    row = np.repeat(np.arange(n), neighbours)
    value = np.maximum(np.concatenate(values).ravel(), 1e-3)
    graph = sparse.csr_matrix((value, (row, np.concatenate(columns).ravel())), shape=(n, n))
    return graph.maximum(graph.T).tocsr()


def partition(graph: sparse.csr_matrix, weight: IntArray, parts: int) -> IntArray:
    """Cut a graph into ``parts`` non-empty parts of nearly equal weight; (n,) int32 part of each node."""
    graph = graph.tocsr()
    graph.setdiag(0)
    graph.eliminate_zeros()
    n = graph.shape[0]
    if parts >= n:
        return np.arange(n, dtype=np.int32)
    if parts == 1:
        return np.zeros(n, np.int32)
    edge = np.maximum(1, np.rint(1000 * graph.data / graph.data.max(initial=1e-12))).astype(np.int64)
    adjacency = pymetis.CSRAdjacency(graph.indptr.astype(np.int64), graph.indices.astype(np.int64))
    _, part = pymetis.part_graph(
        parts, adjacency=adjacency, vweights=weight, eweights=edge, options=pymetis.Options(seed=_METIS_SEED)
    )
    return _fill_empty(np.asarray(part, np.int32), weight, parts)


def _fill_empty(part: IntArray, weight: IntArray, parts: int) -> IntArray:
    """Give each empty part half of the nodes of the largest part (METIS may leave parts empty)."""
    for empty in np.flatnonzero(np.bincount(part, minlength=parts) == 0):
        largest = np.bincount(part, minlength=parts).argmax()
        nodes = np.flatnonzero(part == largest)
        nodes = nodes[np.argsort(-weight[nodes], kind="stable")]
        part[nodes[::2]] = empty
    return part


def _split_each(graph: sparse.csr_matrix, weight: IntArray, above: IntArray, splits: int) -> IntArray:
    """Cut every part of ``above`` (n,) into ``splits``; (n,) int32 numbered through."""
    below = np.empty(len(above), np.int32)
    count = 0
    for part in range(int(above.max()) + 1):
        nodes = np.flatnonzero(above == part)
        inside = partition(graph[nodes][:, nodes], weight[nodes], splits)
        below[nodes] = count + inside
        count += int(inside.max()) + 1
    return below


def unique_keywords(
    catalog: Catalog, items: IntArray, cluster: IntArray, num_clusters: int, num_keywords: int
) -> tuple[tuple[str, ...], ...]:
    """Describe clusters by class-based TF-IDF over titles and hashtags.

    Score of term t in cluster c, with f the frequency of t in c, F in all clusters, and A the
    mean number of terms a cluster (Grootendorst 2022, "BERTopic", equation 2):

        f[c, t] / sum_t f[c, t] * log(1 + A / F[t])

    The best ``num_keywords`` terms describe a cluster. Exact match needs descriptions that differ,
    so a cluster whose description is taken already gets its next term too, and so on.
    """
    terms = np.concatenate([catalog.title_terms[items], catalog.hashtag_terms[items]], axis=1)  # (n, T + G)
    row = np.repeat(cluster, terms.shape[1])
    flat = terms.ravel()
    row, flat = row[flat >= 0], flat[flat >= 0]
    size = (num_clusters, len(catalog.vocabulary))
    frequency = np.bincount(row.astype(np.int64) * size[1] + flat, minlength=size[0] * size[1]).reshape(size)
    total = frequency.sum(axis=0)
    share = frequency / np.maximum(frequency.sum(axis=1, keepdims=True), 1)
    score = share * np.log1p(frequency.sum() / num_clusters / np.maximum(total, 1))  # (M, V)
    ranked = np.argsort(-score, axis=1, kind="stable")
    taken: set[tuple[str, ...]] = set()
    keywords = []
    for c in range(num_clusters):
        length = num_keywords
        words = tuple(catalog.vocabulary[t] for t in ranked[c, :length])
        while words in taken:
            length += 1
            words = tuple(catalog.vocabulary[t] for t in ranked[c, :length])
        taken.add(words)
        keywords.append(words)
    return tuple(keywords)
