import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hidden.merging import LARGEST, merge_parts
from sim.hidden.partition import fair_weights
from tests.sim.catalogs import unit


def circle(*degrees):
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def clusters_of(part):
    return sorted(np.flatnonzero(part == c).tolist() for c in range(part.max() + 1))


def test_the_most_similar_parts_merge_first():
    part = merge_parts(circle(0, 10, 60, 65), np.ones(4, np.int64), np.arange(4), 2)
    assert clusters_of(part) == [[0, 1], [2, 3]]
    part = merge_parts(circle(0, 10, 60, 65), np.ones(4, np.int64), np.arange(4), 3)
    assert clusters_of(part) == [[0], [1], [2, 3]]


def test_a_part_s_centroid_is_that_of_its_items():
    # Items 0 and 1 make part 0, whose centroid, at 20 degrees, is nearest to part 1 at 30.
    part = merge_parts(circle(0, 40, 30, -30, 90), np.ones(5, np.int64), np.array([0, 0, 1, 2, 3]), 3)
    assert clusters_of(part) == [[0, 1, 2], [3], [4]]


def test_a_small_topic_stays_by_itself_and_a_large_one_is_not_merged_beyond_twice_the_mean():
    # 6 equal parts of one topic, one light part of another, in 3 clusters: mean 61 / 3, at most 40 each.
    embedding = circle(0, 1, 2, 3, 4, 5, 80)
    part = merge_parts(embedding, np.array([10, 10, 10, 10, 10, 10, 1]), np.arange(7), 3)
    small = [each for each in clusters_of(part) if 6 in each]
    assert small == [[6]]
    assert max(np.bincount(part, [10, 10, 10, 10, 10, 10, 1])) <= 40


def test_as_many_clusters_as_parts_are_the_parts():
    part = np.array([2, 0, 1, 1], np.int32)
    assert merge_parts(circle(0, 10, 20, 30), np.ones(4, np.int64), part, 3).tolist() == part.tolist()


def test_equally_similar_parts_go_by_their_numbers():
    part = merge_parts(circle(0, 0, 0, 0), np.ones(4, np.int64), np.arange(4), 3)
    assert clusters_of(part) == [[0, 1], [2], [3]]


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_it_is_what_looking_at_all_pairs_each_time_gives(clusters):
    rng = np.random.default_rng(clusters)
    embedding = unit(rng.standard_normal((40, 8)))
    part, weight = np.arange(40) % 20, rng.integers(1, 5, 40)
    groups = [np.flatnonzero(part == p).tolist() for p in range(20)]
    while len(groups) > clusters:
        pairs = []
        for p, first in enumerate(groups):
            for q, second in enumerate(groups[:p]):
                if weight[first + second].sum() <= LARGEST * weight.sum() / clusters:
                    a, b = embedding[first].sum(axis=0), embedding[second].sum(axis=0)
                    pairs.append((a @ b / np.linalg.norm(a) / np.linalg.norm(b), p, q))
        _, p, q = max(pairs)
        groups[q] += groups.pop(p)
    assert clusters_of(merge_parts(embedding, weight, part, clusters)) == sorted(map(sorted, groups))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_no_cluster_is_empty_or_weighs_more_than_twice_the_mean(seed, clusters, more):
    rng = np.random.default_rng(seed)
    parts = clusters + more
    weight = fair_weights(rng.integers(1, 100, parts), clusters)
    part = merge_parts(unit(rng.standard_normal((parts, 4))), weight, np.arange(parts), clusters)
    load = np.bincount(part, weight, minlength=clusters)
    assert len(load) == clusters
    assert load.min() > 0
    assert load.max() <= LARGEST * load.mean()
