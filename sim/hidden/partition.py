"""Cutting a graph into parts of equal traffic: METIS's k-way cut, then a rebalance pass.

METIS (Karypis & Kumar 1998) minimises the weight of the edges cut and aims at parts within 3 % of
equal traffic, but where few nodes make a part, or some weigh more than a part may, it misses.
"""

import numpy as np
import pymetis
import scipy.sparse as sparse

from sim.arrays import FloatArray, IntArray

_METIS_SEED = 20240501
_TOLERANCE = 0.03  # a part may exceed its fair share of traffic by this: METIS's own default
_SIBLING = 1e-6  # similarity of every item to each part under the same cluster above: all count as neighbours


def partition(graph: sparse.csr_matrix, weight: IntArray, parts: int) -> IntArray:
    """Cut a graph into parts of nearly equal weight.

    Args:
        graph: (n, n) symmetric, positive similarities.
        weight: (n,) int64, at least 1 each.
        parts: how many, at least 1.

    Returns:
        (n,) int32, the part of each node; ``min(parts, n)`` parts, none of them empty.
    """
    fair = fair_weights(weight, parts)
    part = _cut(graph, fair, parts)
    parts = int(part.max()) + 1
    return rebalance(graph, fair, part, np.full(parts, (1 + _TOLERANCE) * fair.sum() / parts))


def partition_each(graph: sparse.csr_matrix, weight: IntArray, above: IntArray, parts: int) -> IntArray:
    """Cut each part of a partition further, the parts within one nearly equal.

    Args:
        graph: (n, n) symmetric, positive similarities.
        weight: (n,) int64, at least 1 each.
        above: (n,) int32, the partition to refine, none of its parts empty.
        parts: into how many each is cut; one of fewer nodes is cut into these.

    Returns:
        (n,) int32, numbered through from the first part above to the last.
    """
    edges = graph.tocoo()
    kept = above[edges.row] == above[edges.col]
    inside = sparse.csr_matrix((edges.data[kept], (edges.row[kept], edges.col[kept])), shape=graph.shape)
    below = np.empty(len(above), np.int32)
    fair = np.empty(len(above), np.int64)
    parents: list[int] = []
    caps: list[float] = []
    members = np.split(np.argsort(above, kind="stable"), np.cumsum(np.bincount(above))[:-1])
    for parent, nodes in enumerate(members):
        fair[nodes] = fair_weights(weight[nodes], parts)
        part = _cut(inside[nodes][:, nodes], fair[nodes], parts)
        below[nodes] = len(parents) + part
        number = int(part.max()) + 1
        parents += [parent] * number
        caps += [(1 + _TOLERANCE) * fair[nodes].sum() / number] * number
    under = sparse.csr_matrix((np.ones(len(parents)), (np.arange(len(parents)), parents)))
    return rebalance(inside, fair, below, np.array(caps), (_SIBLING * (under @ under.T)).tocsr())


def fair_weights(weight: IntArray, parts: int) -> IntArray:
    """Weights with which equal parts are possible: those heavier than a part are cut down to one.

    An item heavier than a part must have one to itself, and the fair share of the others is less
    than the mean. With s the fair share and h the number of items that weigh more than s,

        s = (sum of the other weights) / (parts - h),    fair weight = min(weight, s).

    Left as they are, such items make METIS spoil the balance among all other parts.

    Returns:
        (n,) int64, at least 1 each.
    """
    descending = np.sort(weight)[::-1]
    rest = int(weight.sum()) - np.concatenate([[0], np.cumsum(descending)])  # (n + 1,) without the h heaviest
    heavy = 0
    parts = min(parts, len(weight))
    while heavy < parts - 1 and descending[heavy] * (parts - heavy) > rest[heavy]:
        heavy += 1
    share = max(1, -(-int(rest[heavy]) // (parts - heavy)))
    return np.minimum(weight, share)


def rebalance(
    graph: sparse.csr_matrix,
    weight: IntArray,
    part: IntArray,
    cap: FloatArray,
    siblings: sparse.csr_matrix | None = None,
) -> IntArray:
    """Move nodes from parts over their cap to lighter neighbouring parts, at the least loss of cut.

    With S(i, p) the sum of similarities between node i and the nodes of part p, W a part's weight
    and w a node's, a move of i from p to q costs a share of the cut per unit of weight moved of

        loss(i, q) = (S(i, p) - S(i, q)) / w(i),     possible if  W(p) > cap(p)  and  W(q) + w(i) < W(p).

    In each round every overfull part makes its move of least loss, first among those into parts
    that stay within their cap, else (so that weight can pass through full parts) among the rest;
    similarities are then taken anew. A move makes the larger of two weights smaller, hence the sum
    of squared weights: the rounds end, no part gets heavier than the heaviest was, none gets empty.
    Overfull parts remain where nothing can move: a node heavier than the cap, or no lighter neighbour.

    Args:
        graph: (n, n) symmetric, positive similarities.
        weight: (n,) int64, at least 1 each.
        part: (n,) int32, the part of each node.
        cap: (parts,) float, what each part should weigh at most.
        siblings: (parts, parts), similarity that every node of a part is taken to have to another
            part besides its edges; makes neighbours of parts that no edge joins.

    Returns:
        (n,) int32, the new part of each node.
    """
    part = part.copy()
    load = np.bincount(part, weight, minlength=len(cap)).astype(np.int64)
    moved = True
    while moved:
        moved = False
        node, target, loss = _moves(graph, weight, part, load, cap, siblings)
        spills = load[target] + weight[node] > cap[target]
        order = np.lexsort((target, node, loss, spills))
        _, first = np.unique(part[node[order]], return_index=True)  # the best of each overfull part
        for i in order[np.sort(first)]:
            source, to, moving = part[node[i]], target[i], weight[node[i]]
            filled = load[to] + moving  # this round's earlier moves included
            if filled < load[source] and (spills[i] or filled <= cap[to]):
                part[node[i]] = to
                load[source] -= moving
                load[to] = filled
                moved = True
    return part


def _moves(
    graph: sparse.csr_matrix,
    weight: IntArray,
    part: IntArray,
    load: IntArray,
    cap: FloatArray,
    siblings: sparse.csr_matrix | None,
) -> tuple[IntArray, IntArray, FloatArray]:
    """All possible moves out of overfull parts: node, receiving part, loss; see ``rebalance``."""
    nodes = np.flatnonzero((load > cap)[part])
    size = (len(part), len(cap))
    membership = sparse.csr_matrix((np.ones(size[0]), part, np.arange(size[0] + 1)), shape=size)
    similarity = graph[nodes] @ membership  # (overfull nodes, parts)
    if siblings is not None:
        similarity = similarity + siblings[part[nodes]]
    similarity = similarity.tocoo()
    node, target = nodes[similarity.row], similarity.col
    stays = target == part[node]
    own = np.zeros(len(nodes))
    own[similarity.row[stays]] = similarity.data[stays]
    possible = ~stays & (load[target] + weight[node] < load[part[node]])
    loss = (own[similarity.row] - similarity.data) / weight[node]
    return node[possible], target[possible], loss[possible]


def _cut(graph: sparse.csr_matrix, weight: IntArray, parts: int) -> IntArray:
    """METIS's k-way cut; (n,) int32."""
    graph = graph.tocsr(copy=True)
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
    """Give each empty part half of the nodes of the heaviest part of several (METIS may leave parts empty)."""
    for empty in np.flatnonzero(np.bincount(part, minlength=parts) == 0):
        several = np.bincount(part, minlength=parts) > 1
        heaviest = np.where(several, np.bincount(part, weight, minlength=parts), -1).argmax()
        nodes = np.flatnonzero(part == heaviest)
        nodes = nodes[np.argsort(-weight[nodes], kind="stable")]
        part[nodes[::2]] = empty
    return part
