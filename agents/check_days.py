"""Days that pass on a small platform: items are uploaded and expire, and users consume what they are shown."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from agents.base import Agent, InteractionLog, RandomStream, Recommendations, Requests
from agents.check_platform import SmallPlatform, make_catalog, make_log
from sim.arrays import IntArray
from sim.catalog import OF_ITEMS, Catalog
from sim.log import AGENT, PRODUCTION

_REQUESTS, _SLOTS = 2, 5  # of each user a day; slots that the agent fills
_CONSUMED = 2  # of the agent's slots, from the first


def lived(
    small: SmallPlatform, agent: Agent, production: Agent, rng: RandomStream, num_days: int
) -> Iterator[tuple[Requests, Recommendations]]:
    """Let a platform live days that begin after today: every user asks an agent twice a day, and it learns at the end.

    Each day begins with the upload of one item a level-2 cluster; what expires is up to ``small_platform``. In each
    request the platform itself places a new item, and the agent fills five more slots. Users consume the platform's
    item and the agent's first two; every other user likes them.

    Args:
        small: the platform, which is changed.
        agent: fitted.
        production: the platform's recommender, fitted; it learns too.
        rng: the randomness of these days.
        num_days: how many.

    Yields:
        Requests of all users and the agent's slates, before users respond: the platform is as the agent saw it.
    """
    records = small.records
    users = np.arange(records.num_users)
    for day in range(records.day + 1, records.day + 1 + num_days):
        new = _begin_day(small, day)
        rows = []
        for step in range(_REQUESTS):
            placed = new[(users + step) % len(new)]
            requests = records.requests(users, 1 + _SLOTS).after(placed[:, None])
            slates = agent.recommend(requests, rng.at("recommend", day, step))
            yield requests, slates
            rows.append(_responses(small, placed, slates, step))
        log = InteractionLog.concatenate(rows)
        production.update(log, rng.at("production update", day))
        agent.update(log, rng.at("update", day))


def _begin_day(small: SmallPlatform, day: int) -> IntArray:
    """Upload an item a level-2 cluster; their numbers (M,)."""
    catalog, clusters = small.records.catalog, small.records.clusters
    leaf = np.unique(clusters.path[:, 1], return_index=True)[1]  # the first of each level-2 cluster
    latest = np.full(len(leaf), catalog.expiry_day.max())
    new = make_catalog(leaf, clusters.centroid, np.random.default_rng(day), latest)
    new = replace(new, upload_day=np.full(len(leaf), day, np.int32))
    joined = {name: np.concatenate([getattr(catalog, name), getattr(new, name)]) for name in OF_ITEMS}
    small.records.begin_day(day, Catalog(**joined, vocabulary=catalog.vocabulary))
    return np.arange(catalog.num_items, catalog.num_items + len(leaf))


def _responses(small: SmallPlatform, placed: IntArray, slates: Recommendations, step: int) -> InteractionLog:
    """Record what users do with the platform's items (N,) and the agent's (N, S), and return its rows."""
    records, num_users = small.records, len(placed)
    items = np.column_stack([placed, slates.items])  # (N, 1 + S)
    users, slot = np.indices(items.shape)
    consumed = np.asarray(slot <= _CONSUMED)
    positive = consumed & np.asarray(users % 2 == 0)
    watch = np.select([positive, consumed], [0.9, 0.3], 0.0).astype(np.float32)
    records.record(np.arange(num_users), items, np.ones(items.shape, bool), consumed, watch, positive)
    unknown = np.full(slates.items.shape, np.nan)
    propensity = unknown if slates.propensity is None else slates.propensity
    planned = np.full(slates.items.shape, -1) if slates.cluster is None else slates.cluster
    return make_log(
        users.ravel(),
        items.ravel(),
        records.cluster_of_item[items].ravel(),
        np.full(items.size, records.day),
        positive.ravel(),
        consumed.ravel(),
        step=np.full(items.size, step),
        slot=slot.ravel(),
        source=np.where(slot == 0, PRODUCTION, AGENT).ravel(),
        propensity=np.column_stack([np.ones(num_users), propensity]).ravel(),
        planned=np.column_stack([np.full(num_users, -1), planned]).ravel(),
    )
