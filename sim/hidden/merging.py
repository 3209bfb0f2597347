"""Merging the parts of a fine cut into clusters, the most similar first, none above twice its fair share of traffic.

A cut into equal parts splits large topics and joins small ones with strangers. Parts of a quarter of a cluster's
share are nearly always of one topic, and what belongs together can then grow together: a cluster gets between a
quarter of its fair share of traffic and twice that.
"""

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.hidden.similarity import on_grid

LARGEST = 2.0
"""A cluster's traffic, at most, in fair shares: the least with which two parts can always be merged."""


def merge_parts(embedding: FloatArray, weight: IntArray, part: IntArray, clusters: int) -> IntArray:
    """Merge the two parts with the most similar centroids, again and again, until ``clusters`` are left.

    This is centroid linkage under a cap: with s(p) the sum of part p's embeddings, two parts of

        cosine(p, q) = s(p) . s(q) / (|s(p)| |s(q)|)

    may merge if together they weigh at most twice the mean cluster. A pair that may always exists: of more parts
    than clusters, the two lightest weigh at most twice the mean part, so less than twice the mean cluster.

    Embeddings are rounded as in ``sim.hidden.similarity``; products of sums are then whole numbers, exact in float64
    for parts up to 23,000 items, and the result is the same on every machine. Ties go to the lower numbers.

    Args:
        embedding: (n, E) float, unit length.
        weight: (n,) int64, traffic of each item.
        part: (n,) int32, the fine parts, none of them empty; one that is over the cap by itself stays as it is.
        clusters: how many are to be left, at most the number of parts.

    Returns:
        (n,) int32, the cluster of each item, none of them empty.
    """
    parts = int(part.max()) + 1
    sums = np.zeros((parts, embedding.shape[1]))
    np.add.at(sums, part, on_grid(embedding))
    product = sums @ sums.T  # (parts, parts)
    length = np.sqrt(np.diag(product))
    load = np.bincount(part, weight).astype(np.int64)
    cap = LARGEST * load.sum() / clusters
    cluster = np.arange(parts)

    def similarity(p: int) -> FloatArray:
        """(parts,) cosine of part p with those it may merge with, else -inf."""
        impossible = (load + load[p] > cap) | (cluster != np.arange(parts))
        impossible[p] = True
        return np.where(impossible, -np.inf, product[p] / (length * length[p]))

    table = np.stack([similarity(p) for p in range(parts)])
    partner, best = table.argmax(axis=1), table.max(axis=1)
    del table
    for _ in range(parts - clusters):
        p = int(best.argmax())
        p, q = sorted((p, int(partner[p])))
        cluster[cluster == q] = p
        product[p] += product[q]
        product[:, p] += product[:, q]
        length[p] = np.sqrt(product[p, p])
        load[p] += load[q]
        best[q] = -np.inf
        stale = np.isin(partner, (p, q)) & (cluster == np.arange(parts))
        stale[p] = True
        for r in np.flatnonzero(stale):
            row = similarity(int(r))
            partner[r], best[r] = row.argmax(), row.max()
        row = similarity(p)
        nearer = (row > best) | ((row == best) & (p < partner))
        nearer[p] = False
        partner[nearer], best[nearer] = p, row[nearer]
    return np.unique(cluster[part], return_inverse=True)[1].astype(np.int32)
