"""The fixed ranker that makes slates of planned clusters. Public data only; users are a batch axis."""

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.platform import Requests
from sim.random import RandomStream

POOL = 50
"""Items a planned cluster offers at least, beyond those that the user may have been shown recently."""

TEMPERATURE = 0.1
"""Of the choice within a cluster, in units of cosine similarity."""


def shortlist(
    embedding: FloatArray, live: IntArray, cluster_of_item: IntArray, cluster: int, centre: FloatArray, size: int
) -> IntArray:
    """The cluster's own live items, then those of other clusters; within each the nearest to its centre first.

    Args:
        embedding: (L, 256) float32, of the items that can be shown today.
        live: (L,) int64, their numbers.
        cluster_of_item: (n,) int32, level 2.
        cluster: which one.
        centre: (256,) float32, the cluster's.
        size: K, at most L.

    Returns:
        (K,) int64.
    """
    nearness = embedding @ centre  # (L,)
    own = cluster_of_item[live] == cluster
    return live[np.lexsort((-nearness, ~own))[:size]]


def rank_within(
    requests: Requests, shortlists: IntArray, own: FloatArray, catalog: Catalog, stream: RandomStream
) -> IntArray:
    """Make slates of the shortlists of the planned clusters.

    Slots are filled one after the other, without replacement, from the planned cluster's items that
    the user was not shown recently. Item j is drawn with probability proportional to

        exp(<e_j, p> / TEMPERATURE),   p = mean embedding of what the user watched with a positive,

    and uniformly as long as there was none (p = 0). Where the planned cluster has no such item
    left, the nearest items of other clusters to its centre fill the slate, the nearest first.

    Args:
        requests: of B users; S = ``num_slots``.
        shortlists: (B, K) int64, from ``shortlist``.
        own: (B, K) bool, whether the item is of the planned cluster.
        catalog: the items.
        stream: the randomness of this request; a user's slate depends on that user's row alone.

    Returns:
        (B, S) int64, distinct in a row.

    Raises:
        InvalidInput: fewer than S items of a shortlist were not shown recently.
    """
    seen = (shortlists[:, :, None] == requests.exclude[:, None, :]).any(axis=2)  # (B, K)
    spare = int((~seen).sum(axis=1).min())
    if spare < requests.num_slots:
        raise InvalidInput(
            "num_slots", requests.num_slots, f"must be at most {spare}, what today's live items less those seen leave"
        )
    similarity = np.einsum(
        "bke,be->bk", catalog.embedding[shortlists].astype(np.float32), liked_embedding(requests, catalog)
    )
    # The largest sums of log weights and Gumbel noise are draws without replacement.
    key = similarity / TEMPERATURE + stream.gumbel(requests.user, shortlists.shape[1])
    place = np.arange(shortlists.shape[1])
    key = np.where(own, key, -1e6 - place)  # behind all that is the cluster's own; the nearest first
    key[seen] = -np.inf
    best = np.argsort(-key, axis=1, kind="stable")[:, : requests.num_slots]
    return np.take_along_axis(shortlists, best, axis=1)


def liked_embedding(requests: Requests, catalog: Catalog) -> FloatArray:
    """(B, 256) float32: the mean embedding of what each user's history holds with a positive; 0 where nothing."""
    weight = requests.positive.astype(np.float32)  # (B, H); pads are never positive
    embedding = catalog.embedding[requests.items].astype(np.float32)  # (B, H, 256)
    total = np.einsum("bh,bhe->be", weight, embedding)
    return np.asarray(total / np.maximum(weight.sum(axis=1, keepdims=True), 1))
