import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hidden.partition import fair_weights, partition, partition_each, rebalance
from sim.hidden.similarity import similarity_graph
from tests.sim.catalogs import planted_catalog


def load_of(part, weight, parts):
    return np.bincount(part, weight, minlength=parts)


def graph_of(edges, count):
    row, column, value = zip(*edges, strict=True)
    graph = sparse.csr_matrix((np.array(value, float), (row, column)), shape=(count, count))
    return (graph + graph.T).tocsr()


def random_graph(seed, count, degree=4):
    generator = np.random.default_rng(seed)
    row = np.repeat(np.arange(count), degree)
    graph = sparse.csr_matrix((generator.random(len(row)), (row, generator.integers(0, count, len(row)))), (count,) * 2)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph.maximum(graph.T).tocsr()


def test_a_graph_of_two_parts_is_cut_between_them():
    block = np.ones((5, 5)) - np.eye(5)
    graph = sparse.csr_matrix(sparse.block_diag([block, block]))
    part = partition(graph, np.ones(10, np.int64), 2)
    assert len(set(part[:5].tolist())) == len(set(part[5:].tolist())) == 1
    assert part[0] != part[5]


def test_as_many_parts_as_nodes_or_one_are_no_cut():
    graph = sparse.csr_matrix(np.ones((3, 3)))
    assert partition(graph, np.ones(3, np.int64), 3).tolist() == [0, 1, 2]
    assert partition(graph, np.ones(3, np.int64), 5).tolist() == [0, 1, 2]
    assert partition(graph, np.ones(3, np.int64), 1).tolist() == [0, 0, 0]


def test_nodes_without_any_edge_are_still_parted():
    part = partition(sparse.csr_matrix((6, 6)), np.ones(6, np.int64), 2)
    assert sorted(np.bincount(part).tolist()) == [3, 3]


def test_the_graph_that_is_cut_stays_as_it_is():
    graph = sparse.csr_matrix(np.ones((8, 8)))
    partition(graph, np.ones(8, np.int64), 2)
    np.testing.assert_array_equal(graph.toarray(), np.ones((8, 8)))


@pytest.mark.parametrize(
    ("weight", "parts", "expected"),
    [
        ([1, 1, 1, 1], 2, [1, 1, 1, 1]),
        ([10, 1, 1, 1, 1], 2, [4, 1, 1, 1, 1]),  # the other part is what is left
        ([100, 50, 2, 2, 2], 4, [3, 3, 2, 2, 2]),  # two parts are left for a weight of 6
        ([7, 5], 2, [5, 5]),
        ([7, 5], 4, [5, 5]),
        ([9], 3, [9]),
    ],
)
def test_fair_weights(weight, parts, expected):
    assert fair_weights(np.array(weight), parts).tolist() == expected


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=40), st.integers(2, 10))
def test_fair_weights_leave_no_item_heavier_than_a_part(weights, parts):
    weight = np.array(weights)
    fair = fair_weights(weight, parts)
    assert (fair >= 1).all()
    assert (fair <= weight).all()
    if parts <= len(weight):
        assert fair.max() <= np.ceil(fair.sum() / parts)


def test_the_move_that_loses_least_similarity_per_weight_is_made():
    # Part 0 holds nodes 0-3, part 1 nodes 4 and 5. Node 2 has more to lose than node 3.
    edges = [(0, 1, 1.0), (0, 2, 0.9), (0, 3, 0.5), (1, 2, 0.9), (2, 4, 0.3), (3, 4, 0.3), (4, 5, 1.0)]
    part = np.array([0, 0, 0, 0, 1, 1])
    moved = rebalance(graph_of(edges, 6), np.ones(6, np.int64), part, np.array([3.0, 3.0]))
    assert moved.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.tolist() == [0, 0, 0, 0, 1, 1]  # untouched


def test_weight_passes_through_a_full_part_to_a_light_one():
    # Parts in a row, of 4, 2 and 1 nodes; the first touches the second only.
    edges = [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 5, 1), (5, 6, 1)]
    part = np.array([0, 0, 0, 0, 1, 1, 2])
    moved = rebalance(graph_of(edges, 7), np.ones(7, np.int64), part, np.full(3, 2.4))
    assert moved.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_balanced_parts_are_left_alone():
    graph = random_graph(0, 40)
    part = (np.arange(40) % 4).astype(np.int32)
    np.testing.assert_array_equal(rebalance(graph, np.ones(40, np.int64), part, np.full(4, 10.0)), part)


def test_an_item_heavier_than_the_cap_ends_up_alone():
    graph = sparse.csr_matrix(np.ones((9, 9)) - np.eye(9))
    weight = np.array([50, 1, 1, 1, 1, 1, 1, 1, 1])
    part = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    moved = rebalance(graph, weight, part, np.full(3, 20.0))
    assert np.flatnonzero(moved == moved[0]).tolist() == [0]


def test_parts_without_edges_between_them_take_over_only_as_siblings():
    graph = sparse.csr_matrix(sparse.block_diag([np.ones((4, 4)) - np.eye(4), np.ones((2, 2)) - np.eye(2)]))
    part, weight, cap = np.array([0, 0, 0, 0, 1, 1]), np.ones(6, np.int64), np.array([3.0, 3.0])
    np.testing.assert_array_equal(rebalance(graph, weight, part, cap), part)
    siblings = sparse.csr_matrix(np.full((2, 2), 1e-6))
    assert np.bincount(rebalance(graph, weight, part, cap, siblings)).tolist() == [3, 3]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(8, 80), st.integers(2, 6), st.floats(0, 2))
def test_rebalancing_never_makes_balance_worse_and_empties_no_part(seed, count, parts, spread):
    generator = np.random.default_rng(seed)
    graph = random_graph(seed, count)
    weight = np.maximum(1, np.rint(100 * np.exp(spread * generator.standard_normal(count)))).astype(np.int64)
    part = np.concatenate([np.arange(parts), generator.integers(0, parts, count - parts)]).astype(np.int32)
    cap = np.full(parts, 1.03 * weight.sum() / parts)
    moved = rebalance(graph, weight, part, cap)
    before, after = load_of(part, weight, parts), load_of(moved, weight, parts)
    assert after.max() <= before.max()
    assert np.square(after).sum() <= np.square(before).sum()
    assert (np.bincount(moved, minlength=parts) > 0).all()
    np.testing.assert_array_equal(moved, rebalance(graph, weight, part, cap))


def planted(noise=1.0):
    interest = np.repeat(np.arange(12), 50)
    return interest, similarity_graph(planted_catalog(interest, noise).embedding, 15)


def test_planted_parts_are_recovered_and_unequal_ones_balanced():
    interest, graph = planted()
    equal = partition(graph, np.ones(600, np.int64), 12)
    assert len(set(zip(interest.tolist(), equal.tolist(), strict=True))) == 12  # each part is one interest
    heavy = np.where(interest == 0, 3, 1)  # a part of weight 58.3 each would cut interest 0 in three
    part = partition(graph, heavy, 12)
    load = load_of(part, heavy, 12)
    assert load.max() / load.mean() < 1.2


@pytest.mark.parametrize("tail", [0.0, 1.0, 1.5])
def test_traffic_is_balanced_but_for_items_heavier_than_a_part(tail):
    _, graph = planted(noise=2.5)
    weight = np.maximum(1, np.rint(100 * np.exp(tail * np.random.default_rng(0).standard_normal(600)))).astype(np.int64)
    load = load_of(partition(graph, weight, 12), weight, 12)
    assert load.max() / load.mean() < max(1.1, 1.03 * weight.max() / load.mean())


def test_finer_parts_are_nested_balanced_and_numbered_through():
    _, graph = planted(noise=2.0)
    weight = np.random.default_rng(0).integers(50, 150, 600)
    above = partition(graph, weight, 12)
    below = partition_each(graph, weight, above, 3)
    assert set(below.tolist()) == set(range(36))
    for part in range(36):
        assert set(above[below == part].tolist()) == {part // 3}
    load = load_of(below, weight, 36)
    within = load / np.repeat(load.reshape(12, 3).mean(axis=1), 3)
    assert within.max() < 1.06


def test_a_part_of_fewer_nodes_than_parts_is_cut_into_single_nodes():
    graph = sparse.csr_matrix(np.ones((5, 5)) - np.eye(5))
    below = partition_each(graph, np.ones(5, np.int64), np.array([0, 1, 1, 1, 1]), 2)
    assert below[0] == 0
    assert sorted(np.bincount(below).tolist()) == [1, 2, 2]
