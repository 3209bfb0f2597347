"""A tiny platform and log whose structure is known, for testing what agents learn."""

from dataclasses import dataclass

import numpy as np

from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream

STREAM = RandomStream(20240917, "tests", "agents")


@dataclass(frozen=True)
class Planted:
    """A platform on the day after its log."""

    records: PlatformRecords
    platform: Platform
    log: InteractionLog

    def requests(self, num_slots=5):
        return self.records.requests(np.arange(self.records.num_users), num_slots)

    def latest_cluster(self):
        """(N,) the cluster of each user's last consumed item."""
        return self.requests().clusters[:, -1]


def successor(num_clusters=8, strength=0.9):
    """(M, M) transition probabilities c -> c + 1 with the given strength, else uniform."""
    chain = np.roll(np.eye(num_clusters), 1, axis=1)
    return strength * chain + (1 - strength) / num_clusters


def loyal(num_clusters=8, strength=0.9):
    """(M, M) transition probabilities c -> c with the given strength, else uniform."""
    return strength * np.eye(num_clusters) + (1 - strength) / num_clusters


def make_catalog(cluster_of_item, centroid, rng, expiry_day):
    noise = rng.normal(scale=0.03, size=(len(cluster_of_item), 256))
    embedding = centroid[cluster_of_item] + noise
    num = len(cluster_of_item)
    return Catalog(
        creator=np.zeros(num, np.int32),
        length=np.full(num, 30, np.float32),
        upload_day=np.zeros(num, np.int32),
        expiry_day=np.asarray(expiry_day, np.int32),
        embedding=(embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float16),
        title_terms=np.zeros((num, 1), np.int32),
        hashtag_terms=np.zeros((num, 1), np.int32),
        vocabulary=("term",),
    )


def make_clusters(num_clusters, rng):
    centroid = rng.normal(size=(num_clusters, 256)).astype(np.float32)
    centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
    path = np.stack([np.arange(num_clusters) // 2] + [np.arange(num_clusters)] * 3, axis=1)
    return InterestClusters(path, centroid, tuple((f"keyword {c}",) for c in range(num_clusters)))


def make_log(user, item, cluster, day, positive=None, consumed=None, **columns):
    """A log from its main columns; the rest is filled with what does not matter."""
    num = len(user)
    positive = np.ones(num, bool) if positive is None else np.asarray(positive)
    consumed = np.ones(num, bool) if consumed is None else np.asarray(consumed)
    rest = {
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


def planted(transition, num_users=60, num_items=240, days=6, per_day=10, seed=1):
    """Users walk through the clusters by ``transition`` (M, M), starting in cluster ``user % M``.

    A tenth of the items expire on the day after the log, which is the platform's day. A fifth of
    what is consumed is no positive.
    """
    rng = np.random.default_rng(seed)
    num_clusters = len(transition)
    clusters = make_clusters(num_clusters, rng)
    cluster_of_item = np.arange(num_items) % num_clusters
    expiry_day = np.where(np.arange(num_items) < num_items // 10, days, 10_000)
    catalog = make_catalog(cluster_of_item, clusters.centroid, rng, expiry_day)
    records = PlatformRecords(num_users, catalog, clusters, history_length=50, history_days=30, seen_length=20)
    assert (records.cluster_of_item == cluster_of_item).all()
    everyone = np.arange(num_users)
    here = everyone % num_clusters
    rows = []
    for day in range(days):
        records.begin_day(day, catalog)
        for step in range(per_day):
            draw = rng.random(num_users)[:, None]
            here = (transition[here].cumsum(axis=1) > draw).argmax(axis=1)
            item = here + num_clusters * rng.integers(0, num_items // num_clusters, num_users)
            positive = rng.random(num_users) < 0.8
            watch = np.where(positive, 0.9, 0.3).astype(np.float32)
            yes = np.ones((num_users, 1), bool)
            records.record(everyone, item[:, None], yes, yes, watch[:, None], positive[:, None])
            rows.append(
                make_log(everyone, item, here, np.full(num_users, day), positive, step=np.full(num_users, step))
            )
    log = InteractionLog.concatenate(rows)
    records.begin_day(days, catalog)
    return Planted(records, Platform(records), log)


def request(items, clusters, exclude=None, num_slots=2, positive=None, day=6):
    """Requests of users 0 .. B-1 from histories (B, H)."""
    items = np.asarray(items, np.int64)
    positive = items >= 0 if positive is None else positive
    exclude = np.full((len(items), 1), -1) if exclude is None else np.asarray(exclude, np.int64)
    return Requests(
        user=np.arange(len(items)),
        day=day,
        items=items,
        clusters=np.asarray(clusters, np.int32),
        watch=np.where(items >= 0, 0.9, 0).astype(np.float32),
        positive=positive,
        exclude=exclude,
        num_slots=num_slots,
    )
