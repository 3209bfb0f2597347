from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from sklearn.metrics import adjusted_mutual_info_score

from sim.clustering import build_clusters, partition, similarity_graph, unique_keywords
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.world import World
from tests.sim.people import SMALL_TINY, TINY

WORLD = World(TINY, seed=0)
ITEMS = np.arange(WORLD.catalog.num_items)
CLUSTERS = build_clusters(WORLD.catalog, ITEMS, np.ones(len(ITEMS)), TINY.clusters)
FILED = CLUSTERS.file(WORLD.catalog.embedding)


def test_the_tree_has_the_sizes_of_the_constants_and_no_empty_cluster():
    assert CLUSTERS.level_sizes == (4, 24, 48, 96)
    assert CLUSTERS.num_clusters == 24
    for level, size in enumerate(CLUSTERS.level_sizes):
        assert set(CLUSTERS.path[:, level].tolist()) == set(range(size))


def test_the_levels_are_nested():
    for level in (1, 2, 3):
        above = {}
        for row in CLUSTERS.path:
            assert above.setdefault(int(row[level]), int(row[level - 1])) == row[level - 1]
    np.testing.assert_array_equal(CLUSTERS.path[:, 3], np.arange(96))
    np.testing.assert_array_equal(CLUSTERS.parent[FILED[:, 1]], FILED[:, 0])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_clusters_agree_with_the_hidden_interests(seed):
    world = WORLD if seed == 0 else World(TINY, seed)
    clusters = CLUSTERS if seed == 0 else build_clusters(world.catalog, ITEMS, np.ones(len(ITEMS)), TINY.clusters)
    filed = clusters.file(world.catalog.embedding)[:, 1]
    assert adjusted_mutual_info_score(world.truth.interest, filed) > 0.7


def test_equal_items_stay_balanced_when_filed():
    size = np.bincount(FILED[:, 1], minlength=24)
    assert size.max() / size.mean() < 1.35


def test_traffic_is_balanced_at_level_2():
    generator = np.random.default_rng(0)
    traffic = np.exp(generator.standard_normal(len(ITEMS)))  # heavy-tailed
    graph = similarity_graph(WORLD.catalog.embedding.astype(np.float32), TINY.clusters.neighbours)
    weight = np.rint(100 * traffic / traffic.mean()).astype(np.int64) + 1
    part = partition(graph, weight, 24)
    load = np.bincount(part, weight, minlength=24)
    assert load.max() / load.mean() < 1.35


def test_new_items_are_mostly_filed_where_their_interest_is():
    world = World(TINY, seed=0)
    for day in range(1, 11):
        world.begin_day(day)
    new = np.arange(len(ITEMS), world.catalog.num_items)
    assert len(new) == 160
    filed = CLUSTERS.file(world.catalog.embedding[new])[:, 1]
    main = np.array([np.bincount(world.truth.interest[ITEMS][FILED[:, 1] == c]).argmax() for c in range(24)])
    assert (main[filed] == world.truth.interest[new]).mean() > 0.75


def test_the_graph_joins_each_item_with_its_nearest_neighbours():
    # Four unit vectors at angles 0, 10, 50, 70 degrees.
    angle = np.deg2rad([0, 10, 50, 70])
    graph = similarity_graph(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32), 1)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = np.cos(np.deg2rad(10))
    expected[2, 3] = expected[3, 2] = np.cos(np.deg2rad(20))
    np.testing.assert_allclose(graph.toarray(), expected, atol=1e-6)


def test_a_graph_of_two_parts_is_cut_between_them():
    block = np.ones((5, 5)) - np.eye(5)
    graph = sparse.csr_matrix(sparse.block_diag([block, block]))
    part = partition(graph, np.ones(10, np.int64), 2)
    assert len(set(part[:5].tolist())) == len(set(part[5:].tolist())) == 1
    assert part[0] != part[5]


def test_as_many_parts_as_nodes_or_one_are_no_cut():
    graph = sparse.csr_matrix(np.ones((3, 3)))
    assert partition(graph, np.ones(3, np.int64), 3).tolist() == [0, 1, 2]
    assert partition(graph, np.ones(3, np.int64), 1).tolist() == [0, 0, 0]


def test_nodes_without_any_edge_are_still_parted():
    part = partition(sparse.csr_matrix((6, 6)), np.ones(6, np.int64), 2)
    assert sorted(np.bincount(part).tolist()) == [3, 3]


def test_keywords_are_unique_and_describe_what_is_in_the_cluster():
    assert len({CLUSTERS.description(c) for c in range(24)}) == 24
    for c in range(24):
        assert len(CLUSTERS.keywords[c]) >= TINY.clusters.keywords
        inside = ITEMS[FILED[:, 1] == c]
        words = " ".join(WORLD.catalog.title(j) + " " + " ".join(WORLD.catalog.hashtags(j)) for j in inside)
        assert CLUSTERS.keywords[c][0] in words


def test_a_taken_description_is_lengthened_by_the_next_word():
    # Items of one cluster dealt to two: both have the same best word.
    cluster = np.arange(len(ITEMS)) % 2
    keywords = unique_keywords(WORLD.catalog, ITEMS, cluster, 2, 1)
    assert keywords[0] != keywords[1]
    assert {len(k) for k in keywords} <= {1, 2}


def test_the_same_items_give_the_same_tree_and_the_digest_says_so():
    again = build_clusters(WORLD.catalog, ITEMS, np.ones(len(ITEMS)), TINY.clusters)
    assert again.digest == CLUSTERS.digest
    other = build_clusters(WORLD.catalog, ITEMS[:700], np.ones(700), TINY.clusters)
    assert other.digest != CLUSTERS.digest


def test_more_clusters_than_half_the_items_are_refused():
    config = replace(TINY.clusters, level_2=101)
    with pytest.raises(InvalidInput, match=r"world\.clusters\.level_2=101: must be at most half of the 200 items"):
        build_clusters(World(SMALL_TINY, 0).catalog, np.arange(200), np.ones(200), config)


def test_files_keep_everything(tmp_path):
    path = tmp_path / "clusters.safetensors"
    CLUSTERS.save(path)
    read = InterestClusters.load(path)
    assert read.digest == CLUSTERS.digest
    assert read.keywords == CLUSTERS.keywords


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_truncated_files_are_refused(tmp_path, keep):
    path = tmp_path / "clusters.safetensors"
    CLUSTERS.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(InvalidInput, match="clusters file"):
        InterestClusters.load(path)


@pytest.mark.parametrize(("keywords", "message"), [((("a",), ("a",)), "unique"), ((("a",), ()), "no keywords")])
def test_clusters_without_a_description_of_their_own_are_refused(keywords, message):
    path = np.array([[0, 0, 0, 0], [0, 1, 1, 1]])
    with pytest.raises(InvalidInput, match=message):
        InterestClusters(path, np.eye(2, 256, dtype=np.float32), keywords)
