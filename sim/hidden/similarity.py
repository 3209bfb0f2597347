"""Nearest neighbours in cosine: exact, by blocks, the same to the last bit wherever they are computed.

Unit vectors are rounded to whole multiples of 1/4000. Every partial sum of a product of two such
vectors is then a whole number below 2^24 (Cauchy-Schwarz: at most 4000^2 = 1.6e7), which float32
holds exactly, so the result depends neither on the order of summation nor on threads, BLAS or
processor. The rounding moves a cosine by about 1e-4 (standard deviation), less than the noise of
any content embedding.
"""

import numpy as np
import scipy.sparse as sparse

from sim.arrays import FloatArray, IntArray

_STEPS = 4000  # grid steps per unit; 4096 is the limit, less the growth of a norm by rounding
_BLOCK = 512
_GROUPS = 32
_LEAST_SIMILARITY = 1e-3  # of two joined items: a graph's edges must weigh something


def nearest(queries: FloatArray, targets: FloatArray, number: int) -> tuple[IntArray, FloatArray]:
    """The targets most similar to each query, best first; ties go to the lower index.

    A whole sort is not needed: deal the n targets to n/32 groups and take each group's maximum;
    the ``number``-th largest maximum bounds from below what a nearest target can have. Few
    targets reach it, and only those are sorted.

    Args:
        queries: (q, E) float, unit length.
        targets: (n, E) float, unit length.
        number: k, at most n.

    Returns:
        (q, k) int32 target and (q, k) float32 cosine.
    """
    count = len(targets)
    width = -(-count // _GROUPS)
    grid = np.zeros((_GROUPS * width, targets.shape[1]), np.float32)  # padded to whole groups
    grid[:count] = on_grid(targets)
    index = np.empty((len(queries), number), np.int32)
    cosine = np.empty((len(queries), number), np.float32)
    for start in range(0, len(queries), _BLOCK):
        similarity = on_grid(queries[start : start + _BLOCK]) @ grid.T  # (block, padded n)
        similarity[:, count:] = -np.inf
        best = similarity.reshape(len(similarity), _GROUPS, width).max(axis=1)
        bound = np.full(len(best), np.float32(-(_STEPS**2) * 2))
        if width > number:
            bound = np.partition(best, width - number, axis=1)[:, width - number]
        candidate = np.flatnonzero(similarity >= bound[:, None])
        row, column = np.divmod(candidate, similarity.shape[1])
        value = similarity.ravel()[candidate]
        order = np.lexsort((column, -value, row))
        first = np.searchsorted(row, np.arange(len(similarity)))  # rows come sorted
        chosen = order[first[:, None] + np.arange(number)]
        index[start : start + _BLOCK] = column[chosen]
        cosine[start : start + _BLOCK] = value[chosen] / np.float32(_STEPS**2)
    return index, cosine


def similarity_graph(embedding: FloatArray, neighbours: int) -> sparse.csr_matrix:
    """Symmetric graph of each item's nearest neighbours in cosine.

    Args:
        embedding: (n, E) float, unit length.
        neighbours: k, less than n.

    Returns:
        (n, n) sparse, cosine similarities of at least 0.001, empty diagonal.
    """
    count = len(embedding)
    index, cosine = nearest(embedding, embedding, neighbours + 1)
    # An item is its own nearest, unless copies of it crowd it out: then the last one goes.
    itself = index == np.arange(count)[:, None]
    kept = np.argsort(itself, axis=1, kind="stable")[:, :neighbours]
    column = np.take_along_axis(index, kept, axis=1).ravel()
    value = np.maximum(np.take_along_axis(cosine, kept, axis=1).ravel(), _LEAST_SIMILARITY)
    row = np.repeat(np.arange(count), neighbours)
    graph = sparse.csr_matrix((value, (row, column)), shape=(count, count))
    return graph.maximum(graph.T).tocsr()


def on_grid(vectors: FloatArray) -> FloatArray:
    """Unit vectors in whole steps of 1/4000, as float32; any shape."""
    return np.asarray(np.rint(np.float32(_STEPS) * vectors.astype(np.float32)))
