"""A log whose future is known: everybody walks around a ring of clusters, a new one each day."""

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from sim.log import InteractionLog
from sim.random import RandomStream
from tests.agents.planted import make_catalog, make_clusters, make_log

NUM_CLUSTERS = 24
PER_CLUSTER = 6


def ring_dataset(num_users: int = 120, days: int = 10) -> LoggedDataset:
    """On day d user u likes three items of cluster (u + d) mod ``NUM_CLUSTERS`` and skips one of another."""
    generator = RandomStream(3, "ring").generator()
    clusters = make_clusters(NUM_CLUSTERS, generator)
    cluster_of_item = np.arange(NUM_CLUSTERS * PER_CLUSTER) % NUM_CLUSTERS
    catalog = make_catalog(cluster_of_item, clusters.centroid, generator, np.full(len(cluster_of_item), 10_000))
    everyone = np.arange(num_users)
    rows = []
    for day in range(days):
        here = (everyone + day) % NUM_CLUSTERS
        liked = generator.permuted(np.tile(np.arange(PER_CLUSTER), (num_users, 1)), axis=1)[:, :3]
        for step in range(4):
            cluster = here if step < 3 else generator.integers(0, NUM_CLUSTERS, num_users)
            copy = liked[:, step] if step < 3 else np.zeros(num_users, np.int64)
            yes = np.full(num_users, step < 3)
            times = {"day": np.full(num_users, day), "step": np.full(num_users, step)}
            item = cluster + NUM_CLUSTERS * copy
            rows.append(make_log(everyone, item, cluster, positive=yes, consumed=yes, **times))
    return LoggedDataset("ring", "test", num_users, InteractionLog.concatenate(rows), catalog, clusters)
