"""A small platform with a past, made from the public side of ``sim`` alone, on which agents can be tried."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.base import InteractionLog, Platform, Requests
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.log import OWN, PRIOR, PRODUCTION
from sim.platform import PlatformRecords

_DIMENSIONS = 256  # of items' embeddings
_FOREVER = 10_000  # days


@dataclass(frozen=True)
class SmallPlatform:
    """A platform on the day after its log.

    Attributes:
        records: the book-keeping behind the platform.
        platform: what agents see.
        log: impressions of the days before today.
    """

    records: PlatformRecords
    platform: Platform
    log: InteractionLog

    def requests(self, num_slots: int = 5) -> Requests:
        """What requests of all users for ``num_slots`` items look like today."""
        return self.records.requests(np.arange(self.records.num_users), num_slots)

    def latest_cluster(self) -> IntArray:
        """(N,) the cluster of each user's last consumed item."""
        return self.requests().clusters[:, -1]


def successor(num_clusters: int = 8, strength: float = 0.9) -> FloatArray:
    """(M, M) transition probabilities c -> c + 1 with the given strength, else uniform."""
    chain = np.roll(np.eye(num_clusters), 1, axis=1)
    return np.asarray(strength * chain + (1 - strength) / num_clusters)


def small_platform(
    transition: FloatArray,
    num_users: int = 60,
    num_items: int = 240,
    days: int = 6,
    per_day: int = 10,
    seed: int = 1,
    leaves: int = 1,
    expiring_days: int = 1,
    prior_days: int = 0,
) -> SmallPlatform:
    """Users walk through the clusters by ``transition`` (M, M), starting in cluster ``user % M``.

    A tenth of the items expire on the day after the log, which is the platform's day, and on each of the
    ``expiring_days`` from there on. A fifth of what is consumed is no positive.

    Args:
        transition: (M, M) probabilities; rows sum to 1.
        num_users, num_items: N and n; item i is of cluster ``i % M``.
        days: of the log.
        per_day: items that each user consumes a day.
        seed: of numpy's generator.
        leaves: level-4 clusters in each of the M level-2 clusters.
        expiring_days: how many days from the platform's day on a tenth of the items expires.
        prior_days: how many of the log's days are before day 0, in the users' prior life. If any, the first item of
            every later day is the user's own choice. Neither has a propensity.
    """
    rng = np.random.default_rng(seed)
    num_clusters = len(transition)
    clusters = make_clusters(num_clusters, rng, leaves)
    number = np.arange(num_items)
    cluster_of_item = number % num_clusters
    leaf_of_item = cluster_of_item * leaves + number // num_clusters % leaves
    tenth = number // (num_items // 10)
    today = days - prior_days
    expiry_day = np.where(tenth < expiring_days, today + tenth, _FOREVER)
    catalog = make_catalog(leaf_of_item, clusters.centroid, rng, expiry_day, upload_day=-prior_days)
    records = PlatformRecords(num_users, catalog, clusters, history_length=50, history_days=30, seen_length=20)
    assert (records.cluster_of_item == cluster_of_item).all()
    everyone = np.arange(num_users)
    here = everyone % num_clusters
    rows = []
    for day in range(-prior_days, today):
        records.begin_day(day, catalog)
        for step in range(per_day):
            source = PRIOR if day < 0 else OWN if prior_days and step == 0 else PRODUCTION
            draw = rng.random(num_users)[:, None]
            here = (transition[here].cumsum(axis=1) > draw).argmax(axis=1)
            item = here + num_clusters * rng.integers(0, num_items // num_clusters, num_users)
            positive = rng.random(num_users) < 0.8
            watch = np.where(positive, 0.9, 0.3).astype(np.float32)
            yes = np.ones((num_users, 1), bool)
            records.record(everyone, item[:, None], yes, yes, watch[:, None], positive[:, None])
            of_all = {"step": step, "source": source, "propensity": 1.0 if source == PRODUCTION else np.nan}
            columns = {name: np.full(num_users, value) for name, value in of_all.items()}
            rows.append(make_log(everyone, item, here, np.full(num_users, day), positive, **columns))
    log = InteractionLog.concatenate(rows)
    records.begin_day(today, catalog)
    return SmallPlatform(records, Platform(records), log)


def make_clusters(num_clusters: int, rng: np.random.Generator, leaves: int = 1) -> InterestClusters:
    """M level-2 clusters, two of them in each of level 1, with some leaves each, whose centroids are random."""
    leaf = np.arange(num_clusters * leaves)  # (L,)
    centroid = rng.normal(size=(len(leaf), _DIMENSIONS)).astype(np.float32)
    centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
    path = np.stack([leaf // leaves // 2, leaf // leaves, leaf, leaf], axis=1)
    return InterestClusters(path, centroid, tuple((f"keyword {c}",) for c in range(num_clusters)))


def make_catalog(
    leaf_of_item: IntArray, centroid: FloatArray, rng: np.random.Generator, expiry_day: IntArray, upload_day: int = 0
) -> Catalog:
    """Items (n,) near the centroids (L, 256) of their leaves (n,), which expire on days (n,)."""
    num = len(leaf_of_item)
    noise = rng.normal(scale=0.03, size=(num, _DIMENSIONS))
    embedding = centroid[leaf_of_item] + noise
    return Catalog(
        creator=np.zeros(num, np.int32),
        length=np.full(num, 30, np.float32),
        upload_day=np.full(num, upload_day, np.int32),
        expiry_day=np.asarray(expiry_day, np.int32),
        embedding=(embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float16),
        title_terms=np.zeros((num, 1), np.int32),
        hashtag_terms=np.zeros((num, 1), np.int32),
        vocabulary=("term",),
    )


def make_log(
    user: IntArray,
    item: IntArray,
    cluster: IntArray,
    day: IntArray,
    positive: BoolArray | None = None,
    consumed: BoolArray | None = None,
    **columns: IntArray | FloatArray | BoolArray,
) -> InteractionLog:
    """A log of R rows from its main columns (R,); the rest is filled with what does not matter."""
    num = len(user)
    positive = np.ones(num, bool) if positive is None else np.asarray(positive)
    consumed = np.ones(num, bool) if consumed is None else np.asarray(consumed)
    rest: dict[str, Any] = {
        "step": np.zeros(num),
        "slot": np.zeros(num),
        "watch_seconds": np.where(consumed, 25, 2),
        "watch_fraction": np.where(positive, 0.9, 0.3),
        "liked": np.zeros(num, bool),
        "disliked": np.zeros(num, bool),
        "propensity": np.ones(num),
        "source": np.zeros(num),
        "planned": np.full(num, -1),
    }
    return InteractionLog(
        user=user, item=item, cluster=cluster, day=day, positive=positive, consumed=consumed, **{**rest, **columns}
    )
