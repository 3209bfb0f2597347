"""Merging the parts of a fine cut into clusters: near and light ones first, none far above its fair share of traffic.

A cut into equal parts splits large topics and joins small ones with strangers. Parts of a quarter of a cluster's
share are nearly always of one topic, and what belongs together can then grow together: a cluster gets between a
quarter of its fair share of traffic and one and a half of it.
"""

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.hidden.similarity import on_grid

LARGEST = 1.5
"""A cluster's traffic, at most, in fair shares."""


def merge_parts(embedding: FloatArray, weight: IntArray, part: IntArray, clusters: int) -> IntArray:
    """Merge two parts again and again, until ``clusters`` are left: those whose merging costs least.

    This is Ward's linkage (Ward 1963, "Hierarchical grouping to optimize an objective function") with traffic as
    weight, under a cap: with c(p) the mean embedding of part p and w(p) its traffic, merging p and q costs

        w(p) w(q) / (w(p) + w(q)) |c(p) - c(q)|^2,

    so that of pairs equally near the lightest come first. Two parts may merge if together they weigh at most
    ``LARGEST`` times the mean cluster. Where no two may, the two lightest do.

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
    number = np.bincount(part).astype(np.float64)
    load = np.bincount(part, weight).astype(np.int64)
    cap = LARGEST * load.sum() / clusters
    cluster = np.arange(parts)

    def similarity(p: int) -> FloatArray:
        """(parts,) minus the cost of merging part p with those it may merge with, else -inf."""
        impossible = (load + load[p] > cap) | (cluster != np.arange(parts))
        impossible[p] = True
        mean = product[p] / (number * number[p])
        apart = np.diag(product) / number**2 + product[p, p] / number[p] ** 2 - 2 * mean
        return np.where(impossible, -np.inf, -(load * load[p] / (load + load[p])) * apart)

    table = np.stack([similarity(p) for p in range(parts)])
    partner, best = table.argmax(axis=1), table.max(axis=1)
    del table
    for _ in range(parts - clusters):
        p = int(best.argmax())
        p, q = sorted((p, int(partner[p])) if np.isfinite(best[p]) else _two_lightest(load, cluster))
        cluster[cluster == q] = p
        product[p] += product[q]
        product[:, p] += product[:, q]
        number[p] += number[q]
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


def _two_lightest(load: IntArray, cluster: IntArray) -> tuple[int, int]:
    """The lightest of the parts that are not merged into another one."""
    left = np.flatnonzero(cluster == np.arange(len(cluster)))
    first, second = left[np.argsort(load[left], kind="stable")[:2]]
    return int(first), int(second)
