from dataclasses import replace

import numpy as np
import pytest

from sim.clusters import InterestClusters
from sim.hidden.clustering import cut_tree, describe_tree
from sim.hidden.world import World
from tests.sim.people import TINY as FEW_CLUSTERS

TINY = replace(
    FEW_CLUSTERS, clusters=replace(FEW_CLUSTERS.clusters, level_2=36)
)  # 1.5 an interest, as in larger worlds


def clusters_at(*degrees, leaves=1):
    """Clusters whose centroids are at these angles, each with leaves around it."""
    number = np.repeat(np.arange(len(degrees)), leaves)
    angle = np.deg2rad(np.repeat(degrees, leaves) + np.tile(np.linspace(-1, 1, leaves) * (leaves > 1), len(degrees)))
    centroid = np.pad(np.stack([np.cos(angle), np.sin(angle)], axis=1), [(0, 0), (0, 254)])
    path = np.stack([np.zeros(len(number)), number, number, np.arange(len(number))], axis=1)
    return InterestClusters(path, centroid, tuple((f"word {c}",) for c in range(len(degrees))))


@pytest.mark.parametrize("leaves", [1, 3])
def test_near_clusters_are_siblings_and_others_are_not(leaves):
    nearest, sibling = clusters_at(0, 5, 60, 130, 133, 200, leaves=leaves).siblings()
    assert nearest.tolist() == [1, 0, 1, 4, 3, 4]
    assert sibling.tolist() == [True, True, False, True, True, False]
    assert nearest.dtype == np.int32


def test_of_three_siblings_each_has_one():
    nearest, sibling = clusters_at(0, 5, 9, 90, 180).siblings()
    assert nearest.tolist() == [1, 2, 1, 2, 3]
    assert sibling.tolist() == [True, True, True, False, False]


def test_equally_near_clusters_are_no_siblings_and_ties_go_to_the_lower_number():
    path = np.stack([np.zeros(4), *3 * [np.arange(4)]], axis=1)
    clusters = InterestClusters(path, np.eye(4, 256), tuple((f"word {c}",) for c in range(4)))
    nearest, sibling = clusters.siblings()
    assert nearest.tolist() == [1, 0, 0, 0]
    assert not sibling.any()


def test_one_cluster_has_no_sibling():
    nearest, sibling = clusters_at(40).siblings()
    assert (nearest.tolist(), sibling.tolist()) == ([0], [False])


def test_a_cluster_s_centroid_is_the_mean_of_its_leaves():
    centroid = clusters_at(0, 90, leaves=3).centroid_2
    np.testing.assert_allclose(centroid[:, :2], [[1, 0], [0, 1]], atol=1e-6)
    assert not centroid.flags.writeable


def test_siblings_share_an_interest_as_a_rule():
    right, flagged, shared = 0, 0, 0
    for seed in range(1000, 1003):
        world = World(TINY, seed)
        items, traffic = np.arange(world.catalog.num_items), np.ones(world.catalog.num_items)
        tree = cut_tree(world.catalog, items, traffic, TINY.clusters)
        nearest, sibling = describe_tree(world.catalog, items, traffic, tree, TINY.clusters).siblings()
        count = np.zeros((36, 24), int)
        np.add.at(count, (tree[:, 1], world.truth.interest[items]), 1)
        main = count.argmax(axis=1)
        right += (sibling & (main[nearest] == main)).sum()
        flagged += sibling.sum()
        shared += (np.bincount(main)[main] > 1).sum()
    assert right / flagged > 0.75
    assert right / shared > 0.75
