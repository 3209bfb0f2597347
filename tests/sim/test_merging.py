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


def test_the_nearest_parts_merge_first():
    part = merge_parts(circle(0, 10, 60, 65), np.ones(4, np.int64), np.arange(4), 2)
    assert clusters_of(part) == [[0, 1], [2, 3]]
    part = merge_parts(circle(0, 10, 60, 65), np.ones(4, np.int64), np.arange(4), 3)
    assert clusters_of(part) == [[0], [1], [2, 3]]


def test_a_part_s_centroid_is_that_of_its_items():
    # Items 0 and 1 make part 0, whose centroid, at 20 degrees, is nearest to part 1 at 30.
    part = merge_parts(circle(0, 40, 30, -30, 90), np.array([1, 1, 2, 2, 2]), np.array([0, 0, 1, 2, 3]), 3)
    assert clusters_of(part) == [[0, 1, 2], [3], [4]]


def test_of_equally_near_parts_the_lightest_merge_first():
    part = merge_parts(circle(0, 10, 20, 30), np.array([3, 3, 1, 1]), np.arange(4), 3)
    assert clusters_of(part) == [[0], [1], [2, 3]]


def test_where_no_two_parts_fit_the_two_lightest_merge():
    part = merge_parts(circle(0, 10, 100, 200, 300), np.array([2, 2, 2, 2, 2]), np.arange(5), 4)
    assert clusters_of(part) == [[0, 1], [2], [3], [4]]  # mean 2.5, at most 3.75: two of 2 are too heavy
    part = merge_parts(circle(0, 1, 2, 3, 4), np.array([4, 3, 4, 3, 4]), np.arange(5), 4)
    assert clusters_of(part) == [[0], [1, 3], [2], [4]]


def test_a_small_topic_stays_by_itself_and_a_large_one_is_not_merged_beyond_its_share():
    # 6 equal parts of one topic, one light part of another, in 4 clusters: mean 61 / 4, at most 22.9 each.
    embedding = circle(0, 1, 2, 3, 4, 5, 80)
    part = merge_parts(embedding, np.array([10, 10, 10, 10, 10, 10, 1]), np.arange(7), 4)
    small = [each for each in clusters_of(part) if 6 in each]
    assert small == [[6]]
    assert max(np.bincount(part, [10, 10, 10, 10, 10, 10, 1])) == 20


def test_as_many_clusters_as_parts_are_the_parts():
    part = np.array([2, 0, 1, 1], np.int32)
    assert merge_parts(circle(0, 10, 20, 30), np.ones(4, np.int64), part, 3).tolist() == part.tolist()


def test_equally_near_parts_go_by_their_numbers():
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
                a, b = weight[first].sum(), weight[second].sum()
                apart = ((embedding[first].mean(axis=0) - embedding[second].mean(axis=0)) ** 2).sum()
                fits = a + b <= LARGEST * weight.sum() / clusters
                pairs.append((not fits, a * b / (a + b) * apart if fits else max(a, b), min(a, b), p, q))
        *_, p, q = min(pairs)
        groups[q] += groups.pop(p)
    assert clusters_of(merge_parts(embedding, weight, part, clusters)) == sorted(map(sorted, groups))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_no_cluster_is_empty_or_weighs_more_than_its_share_but_for_two_light_parts(seed, clusters, more):
    rng = np.random.default_rng(seed)
    parts = clusters + more
    weight = fair_weights(rng.integers(1, 100, parts), clusters)
    part = merge_parts(unit(rng.standard_normal((parts, 4))), weight, np.arange(parts), clusters)
    load = np.bincount(part, weight, minlength=clusters)
    assert len(load) == clusters
    assert load.min() > 0
    assert load.max() <= max(LARGEST, 2.0) * load.mean()  # 2: the two lightest of more parts than clusters
