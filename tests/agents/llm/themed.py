"""A platform of clusters with themes in plain words, and users whose taste for what is new follows a planted rule."""

from dataclasses import dataclass

import numpy as np

from agents.llm.table import TransitionTable
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from tests.agents.planted import make_catalog, make_log

WORDS = (
    ("guitar chords", "piano lessons", "violin practice", "drum solos"),
    ("sourdough bread", "cake decorating", "cookie recipes", "pie crust"),
    ("marathon training", "trail running", "sprint drills", "half marathon plan"),
    ("tomato seedlings", "rose pruning", "compost heap", "lawn care"),
    ("python programming", "web servers", "linux kernel", "database design"),
    ("kittens", "puppies", "parrots", "hamsters"),
)
NUM_THEMES, SIZE = len(WORDS), len(WORDS[0])
NUM = NUM_THEMES * SIZE
THEME = np.arange(NUM) // SIZE
TRAIT = THEME % 3
"""Themes 0 and 3, 1 and 4, 2 and 5 share a trait, which no encoder can know of."""

FIRST_DAYS = 2  # users become known by two clusters of their theme
DAYS = 8


@dataclass(frozen=True)
class Themed:
    """A platform on the day after its log; ``likes`` is (N, NUM), the probability of positive feedback."""

    records: PlatformRecords
    platform: Platform
    log: InteractionLog
    likes: np.ndarray


def themed_clusters():
    path = np.stack([THEME, *[np.arange(NUM)] * 3], axis=1)
    keywords = tuple((words,) for theme in WORDS for words in theme)
    return InterestClusters(path, np.eye(NUM, 256), keywords)


def themed_platform(num_users):
    """Nobody has done anything; item i is in cluster i % NUM."""
    clusters = themed_clusters()
    cluster_of_item = np.arange(2 * NUM) % NUM
    catalog: Catalog = make_catalog(
        cluster_of_item, clusters.centroid, np.random.default_rng(3), np.full(2 * NUM, 1000)
    )
    records = PlatformRecords(num_users, catalog, clusters, history_length=40, history_days=30, seen_length=10)
    assert (records.cluster_of_item == cluster_of_item).all()
    return records


def themed(likes_of_theme, num_users=900, seed=5):
    """Users of theme ``user % NUM_THEMES`` consume two of its clusters, then are shown two random clusters a day.

    Args:
        likes_of_theme: (NUM_THEMES, NUM) probability of positive feedback, which is also consumption.
        num_users, seed: of the world.
    """
    rng = np.random.default_rng(seed)
    records = themed_platform(num_users)
    user = np.arange(num_users)
    likes = likes_of_theme[user % NUM_THEMES]
    known = (user % NUM_THEMES)[:, None] * SIZE + rng.random((num_users, SIZE)).argsort(axis=1)[:, :FIRST_DAYS]
    rows = []
    for day in range(DAYS):
        records.begin_day(day, records.catalog)
        for _ in range(1 if day < FIRST_DAYS else 2):
            item = known[:, day] if day < FIRST_DAYS else rng.integers(0, NUM, num_users)
            positive = rng.random(num_users) < likes[user, item]
            consumed = positive | (day < FIRST_DAYS)
            yes = np.ones((num_users, 1), bool)
            watch = np.where(positive, 0.9, 0.3).astype(np.float32)[:, None]
            records.record(user, item[:, None], yes, consumed[:, None], watch, positive[:, None])
            rows.append(make_log(user, item, item, np.full(num_users, day), positive, consumed))
    records.begin_day(DAYS, records.catalog)
    return Themed(records, Platform(records), InteractionLog.concatenate(rows), likes)


def shared_trait(much=0.7, little=0.1):
    """(NUM_THEMES, NUM): users like what shares a trait with their theme."""
    trait_of_theme = np.arange(NUM_THEMES) % 3
    return np.where(trait_of_theme[:, None] == TRAIT, much, little)


def random_table(folder, clusters, seed=1, top_n=10):
    """A table that knows nothing: random clusters for every pair, never the pair's own."""
    rng = np.random.default_rng(seed)
    num = clusters.num_clusters
    key = rng.random((num, num, num))
    every = np.arange(num)
    key[every, :, every] = key[:, every, every] = 2.0
    best = key.argsort(axis=2)[:, :, :top_n].reshape(num * num, -1)
    best[np.take_along_axis(key.reshape(num * num, -1), best, axis=1) == 2.0] = -1
    TransitionTable.write(folder, best, np.zeros(best.shape), {"clusters_digest": clusters.digest})
    return folder
