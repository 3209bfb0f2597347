"""Logs and data sets small enough to be counted by hand."""

from dataclasses import replace
from typing import Any

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from experiments.fit.observation import Observation, observed
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from tests.experiments.synthetic import log_of
from tests.sim.catalogs import planted_catalog


def seen_of(
    num_users: int = 1, num_days: int = 1, has_watch: bool = True, negatives: bool = True, **columns: Any
) -> Observation:
    """An observation of the given columns, rows in the order of time."""
    log = log_of(**{"day": np.zeros(len(columns["user"])), **columns})
    clusters = int(log.cluster.max(initial=0)) + 1
    window = observed(log, num_users, clusters, int(log.day.max(initial=0)) + 1, has_watch, negatives)
    return replace(window, num_days=num_days)


def dataset_of(log: InteractionLog, num_users: int, num_clusters: int = 3, **facts: Any) -> LoggedDataset:
    """A data set of a log over two items a cluster, numbered by cluster."""
    catalog = planted_catalog(np.repeat(np.arange(num_clusters), 2), noise=0.1)
    path = np.repeat(np.arange(num_clusters)[:, None], 4, axis=1)
    path[:, 0] = 0
    words = tuple((f"word {m}",) for m in range(num_clusters))
    clusters = InterestClusters(path, catalog.embedding[::2].astype(np.float32), words)
    log = replace(log, propensity=np.full(len(log), np.nan))
    return LoggedDataset("planted", "test", num_users, log, catalog, clusters, **facts)
