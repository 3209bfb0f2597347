"""Observations of a user and of the candidates: public data only, the same in all environments."""

from typing import Any

import numpy as np
from gymnasium import spaces

from sim.arrays import FloatArray, IntArray
from sim.hidden.config import WorldConfig
from sim.hidden.items import EMBEDDING_SIZE
from sim.hidden.response import MAX_FRACTION
from sim.platform import PlatformRecords

# Gymnasium types the values of a Dict space as Any.
Observation = dict[str, Any]
"""Arrays by field name; a batch has a leading axis of users."""

MAX_LENGTH = 300.0
"""Seconds: no item is longer."""


def observation_space(config: WorldConfig, days: int, num_slots: int, num_candidates: int) -> spaces.Dict:
    """The space of one user's observations, H = ``config.platform.history_length``, C candidates.

    ``day``: (1,) int32, days since the life began; ``days`` when it is over.
    ``minutes_today``: (1,) float32, minutes that the user has spent today.
    ``history_cluster``: (H,) int32, level-2 cluster of what the user consumed in the last
    ``history_days`` days, most recent last, -1 pads on the left.
    ``history_watch``: (H,) float32, watched fraction of each, above 1 on replays, 0 pads.
    ``history_positive``: (H,) int8, 1 where the feedback was positive.
    ``candidate_cluster``: (C,) int32, level-2 cluster.
    ``candidate_length``: (C,) float32, seconds.
    ``candidate_embedding``: (C, 256) float32, content embedding, unit length up to float16.
    """
    clusters = config.clusters.level_2
    minutes = config.platform.max_requests_per_day * num_slots * MAX_FRACTION * MAX_LENGTH / 60
    embedding_shape = (num_candidates, EMBEDDING_SIZE)
    return spaces.Dict(
        {
            **history_fields(config.platform.history_length, clusters, days, minutes),
            "candidate_cluster": spaces.Box(0, clusters - 1, (num_candidates,), np.int32),
            "candidate_length": spaces.Box(0, MAX_LENGTH, (num_candidates,), np.float32),
            "candidate_embedding": spaces.Box(-1, 1, embedding_shape, np.float32),
        }
    )


def history_fields(length: int, num_clusters: int, days: int, minutes: float) -> dict[str, spaces.Space[Any]]:
    """The fields of ``observation_space`` that describe the user, H = ``length``; at most ``minutes`` a day."""
    return {
        "day": spaces.Box(0, days, (1,), np.int32),
        "minutes_today": spaces.Box(0, minutes, (1,), np.float32),
        "history_cluster": spaces.Box(-1, num_clusters - 1, (length,), np.int32),
        "history_watch": spaces.Box(0, MAX_FRACTION, (length,), np.float32),
        "history_positive": spaces.MultiBinary(length),
    }


def observe(records: PlatformRecords, user: IntArray, minutes: FloatArray, candidates: IntArray) -> Observation:
    """The observations of users (B,), who have spent ``minutes`` (B,) today and get ``candidates`` (B, C)."""
    requests = records.requests(user, num_slots=1)
    catalog = records.catalog
    return {
        "day": np.full((len(user), 1), records.day, np.int32),
        "minutes_today": minutes[:, None].astype(np.float32),
        "history_cluster": np.array(requests.clusters),
        "history_watch": np.array(requests.watch),
        "history_positive": requests.positive.astype(np.int8),
        "candidate_cluster": records.cluster_of_item[candidates].astype(np.int32),
        "candidate_length": catalog.length[candidates].astype(np.float32),
        "candidate_embedding": catalog.embedding[candidates].astype(np.float32),
    }
