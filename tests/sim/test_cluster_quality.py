from dataclasses import replace

import numpy as np
import pytest

from sim.clusters import InterestClusters
from sim.hidden.cluster_quality import cluster_quality, traffic_imbalance
from sim.hidden.clustering import cut_tree, describe_tree
from tests.sim.catalogs import planted_catalog
from tests.sim.people import TINY


def test_imbalance_counts_empty_clusters():
    cluster = np.array([[0, 0], [0, 1], [1, 1]])
    assert traffic_imbalance(cluster, np.array([1.0, 1.0, 4.0]), (2, 3)) == pytest.approx((4 / 3, 5 / 2))


def axes_clusters(keywords=(("a",), ("b",), ("c",))):
    """Three clusters whose centroids are the first three axes."""
    number = np.arange(3)
    path = np.stack([np.zeros(3), number, number, number], axis=1)
    return InterestClusters(path, np.eye(3, 256, dtype=np.float32), keywords)


def catalog_on_axes(axis, upload_day):
    catalog = planted_catalog(np.zeros(len(axis), np.int64), 0.0, upload_day=np.asarray(upload_day, np.int32))
    return replace(catalog, embedding=np.eye(256, dtype=np.float16)[axis])


def test_known_answers():
    axis = np.array([0, 0, 0, 1, 1, 2, 0, 1, 2, 2])
    interest = np.array([5, 5, 7, 6, 6, 6, 5, 6, 5, 6])
    catalog = catalog_on_axes(axis, [0] * 6 + [1] * 4)
    items, traffic = np.arange(6), np.array([1.0, 1, 1, 1, 1, 4])
    tree = np.stack([np.zeros(6), axis[:6], axis[:6], axis[:6]], axis=1).astype(np.int32)
    quality = cluster_quality(axes_clusters(), tree, catalog, items, traffic, interest)
    assert quality.imbalance_cut == quality.imbalance_filed == pytest.approx((1, 4 / 3, 4 / 3, 4 / 3))
    assert quality.imbalance_floor == pytest.approx((1, 4 / 3, 4 / 3, 4 / 3))
    assert quality.unique_keywords == 1
    assert quality.interests_found == pytest.approx(2 / 3)  # 7 is the commonest nowhere
    assert quality.new_items_at_home == pytest.approx(3 / 4)
    assert 0 < quality.agreement < 1


def test_the_same_grouping_agrees_fully_and_without_new_items_there_is_no_share():
    axis = np.array([0, 0, 1, 1, 2, 2])
    tree = np.stack([np.zeros(6), axis, axis, axis], axis=1).astype(np.int32)
    catalog = catalog_on_axes(axis, [0] * 6)
    quality = cluster_quality(axes_clusters(), tree, catalog, np.arange(6), np.ones(6), 2 - axis)
    assert quality.agreement == pytest.approx(1)
    assert quality.interests_found == 1
    assert np.isnan(quality.new_items_at_home)


def test_an_empty_cluster_is_never_an_items_nearest():
    axis = np.array([0, 0, 1, 1, 2])
    tree = np.stack([np.zeros(4), axis[:4], axis[:4], axis[:4]], axis=1).astype(np.int32)
    catalog = catalog_on_axes(axis, [0, 0, 0, 0, 1])
    quality = cluster_quality(axes_clusters(), tree, catalog, np.arange(4), np.ones(4), np.array([0, 0, 1, 1, 0]))
    assert quality.new_items_at_home == 0


def test_planted_interests_are_recovered():
    interest = np.tile(np.arange(24), 40)
    catalog = planted_catalog(interest, 0.8, upload_day=(np.arange(960) >= 720).astype(np.int32))
    items, traffic = np.arange(720), np.ones(720)
    config = replace(TINY.clusters, level_2=24)
    tree = cut_tree(catalog, items, traffic, config)
    clusters = describe_tree(catalog, items, traffic, tree, config)
    quality = cluster_quality(clusters, tree, catalog, items, traffic, interest)
    assert quality.agreement > 0.95
    assert quality.interests_found > 0.95
    assert quality.new_items_at_home > 0.95
    assert quality.imbalance_filed[1] < 1.2
