from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.hidden.clustering import build_clusters, cut_tree, describe_tree, filing_offsets, unique_keywords
from sim.hidden.world import World
from tests.sim.catalogs import planted_catalog, unit
from tests.sim.people import SMALL_TINY
from tests.sim.people import TINY as FEW_CLUSTERS

TINY = replace(
    FEW_CLUSTERS, clusters=replace(FEW_CLUSTERS.clusters, level_2=36)
)  # 1.5 an interest, as in larger worlds
WORLD = World(TINY, seed=0)
ITEMS = np.arange(WORLD.catalog.num_items)
TREE = cut_tree(WORLD.catalog, ITEMS, np.ones(len(ITEMS)), TINY.clusters)
CLUSTERS = describe_tree(WORLD.catalog, ITEMS, np.ones(len(ITEMS)), TREE, TINY.clusters)
FILED = CLUSTERS.file(WORLD.catalog.embedding)


def test_the_tree_has_the_sizes_of_the_constants_and_no_empty_cluster():
    assert CLUSTERS.level_sizes == (4, 36, 72, 144)
    assert CLUSTERS.num_clusters == 36
    for level, size in enumerate(CLUSTERS.level_sizes):
        assert set(CLUSTERS.path[:, level].tolist()) == set(range(size))


def test_the_levels_are_nested():
    for level in (1, 2, 3):
        above = {}
        for row in CLUSTERS.path:
            assert above.setdefault(int(row[level]), int(row[level - 1])) == row[level - 1]
    np.testing.assert_array_equal(CLUSTERS.path[:, 3], np.arange(144))
    np.testing.assert_array_equal(CLUSTERS.parent[FILED[:, 1]], FILED[:, 0])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_clusters_agree_with_the_hidden_interests(seed):
    world = WORLD if seed == 0 else World(TINY, seed)
    clusters = CLUSTERS if seed == 0 else build_clusters(world.catalog, ITEMS, np.ones(len(ITEMS)), TINY.clusters)
    filed = clusters.file(world.catalog.embedding)[:, 1]
    assert adjusted_mutual_info_score(world.truth.interest, filed) > 0.7


def test_equal_items_stay_balanced_when_filed():
    due = np.bincount(TREE[:, 1])
    size = np.bincount(FILED[:, 1], minlength=36)
    assert (size < 1.25 * np.maximum(due, due.mean())).all()


def test_the_cut_is_nested_and_every_level_within_its_bounds():
    traffic = np.exp(0.7 * np.random.default_rng(0).standard_normal(len(ITEMS)))
    tree = cut_tree(WORLD.catalog, ITEMS, traffic, TINY.clusters)
    load = [np.bincount(tree[:, level], traffic) for level in range(4)]
    assert load[0].max() / load[0].mean() < 1.2
    assert load[1].max() / load[1].mean() < 1.51  # at most 1.5, but traffic is rounded to hundredths
    assert load[1].min() / load[1].mean() > 0.15  # a quarter is the mean of the parts that are merged
    for level, parts in ((2, TINY.clusters.level_3_splits), (3, TINY.clusters.level_4_splits)):
        heaviest = np.zeros(len(load[level - 1]))
        np.maximum.at(heaviest, tree[:, level - 1], traffic)
        above = tree[np.unique(tree[:, level], return_index=True)[1], level - 1]
        assert load[level].min() > 0
        # A part may miss its share by one item's traffic.
        assert (load[level] <= load[level - 1][above] / parts + heaviest[above]).all()
    for level in (1, 2, 3):
        assert len(set(zip(tree[:, level], tree[:, level - 1], strict=True))) == tree[:, level].max() + 1


def test_filing_hinders_the_clusters_that_would_get_too_much_and_no_others():
    # Cluster 0 is nearest to 75 items of 100, for 25 of them by little; cluster 1 to 25.
    axes = np.eye(2, dtype=np.float32)
    angle = np.deg2rad(np.concatenate([np.full(50, 5.0), np.linspace(43, 44.9, 25), np.full(25, 80.0)]))
    embedding = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    due = np.array([50.0, 50.0])
    offset = filing_offsets(embedding, np.ones(100, np.int64), axes, np.array([0, 1]), due)
    assert 0 < offset[0] <= 0.1
    assert offset[1] == 0
    filed = np.bincount((embedding @ axes.T - offset).argmax(axis=1), minlength=2)
    assert filed[0] <= 60  # 1.1 fair shares and what is in doubt
    assert filed[0] >= 50
    # A cluster that was cut larger is let be.
    assert filing_offsets(embedding, np.ones(100, np.int64), axes, np.array([0, 1]), due * [1.5, 1]).tolist() == [0, 0]


def test_clusters_within_the_cap_have_no_offset_and_far_ones_keep_their_items():
    axes = np.eye(2, dtype=np.float32)
    due = np.array([5.0, 5.0])
    even = filing_offsets(np.repeat(axes, 5, axis=0), np.ones(10, np.int64), axes, np.array([0, 1]), due)
    assert even.tolist() == [0, 0]
    lopsided = np.repeat(axes, [9, 1], axis=0)
    offset = filing_offsets(lopsided, np.ones(10, np.int64), axes, np.array([0, 1]), due)
    assert np.bincount((lopsided @ axes.T - offset).argmax(axis=1)).tolist() == [9, 1]


def test_an_item_is_filed_alike_alone_and_among_others_also_between_leaves_that_are_nearly_the_same():
    rng = np.random.default_rng(0)
    centroid = unit(rng.normal(size=(8, 256)))
    twins = unit(centroid + rng.normal(scale=1e-8, size=centroid.shape))
    leaves = np.concatenate([centroid, twins]).astype(np.float32)
    path = np.stack([np.zeros(16, int), np.zeros(16, int), np.zeros(16, int), np.arange(16)], axis=1)
    clusters = InterestClusters(path, leaves, (("a",),))
    items = unit(np.repeat(centroid, 50, axis=0) + rng.normal(scale=0.05, size=(400, 256))).astype(np.float32)
    filed = clusters.file(items)
    assert np.array_equal(filed[:, 3] % 8, np.repeat(np.arange(8), 50))
    assert 0 < (filed[:, 3] >= 8).mean() < 1  # both of a pair of twins are nearest to some
    for size in (1, 7, 64):
        apart = np.concatenate([clusters.file(items[i : i + size]) for i in range(0, len(items), size)])
        assert np.array_equal(filed, apart), size


def test_offsets_are_used_for_filing_saved_and_part_of_the_digest(tmp_path):
    vectors = unit(np.pad([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], [(0, 0), (0, 254)]))
    path = np.array([[0, 0, 0, 0], [0, 1, 1, 1]])
    plain = InterestClusters(path, vectors[:2], (("a",), ("b",)))
    handicapped = replace(plain, offset=np.array([0.3, 0.0], np.float32))
    assert plain.offset.tolist() == [0, 0]
    assert plain.file(vectors)[:, 1].tolist() == [0, 1, 0]
    assert handicapped.file(vectors)[:, 1].tolist() == [0, 1, 1]
    assert plain.digest != handicapped.digest
    handicapped.save(tmp_path / "clusters.safetensors")
    assert InterestClusters.load(tmp_path / "clusters.safetensors").digest == handicapped.digest


def test_new_items_are_mostly_filed_where_their_interest_is():
    world = World(TINY, seed=0)
    for day in range(1, 11):
        world.begin_day(day)
    new = np.arange(len(ITEMS), world.catalog.num_items)
    assert len(new) == 160
    filed = CLUSTERS.file(world.catalog.embedding[new])[:, 1]
    main = np.array([np.bincount(world.truth.interest[ITEMS][FILED[:, 1] == c]).argmax() for c in range(36)])
    assert (main[filed] == world.truth.interest[new]).mean() > 0.75


def test_keywords_are_unique_and_describe_what_is_in_the_cluster():
    assert len({CLUSTERS.description(c) for c in range(36)}) == 36
    for c in range(36):
        assert len(CLUSTERS.keywords[c]) >= TINY.clusters.keywords
        inside = ITEMS[FILED[:, 1] == c]
        words = " ".join(WORLD.catalog.title(j) + " " + " ".join(WORLD.catalog.hashtags(j)) for j in inside)
        assert CLUSTERS.keywords[c][0] in words


def test_a_term_of_many_clusters_comes_after_the_cluster_s_own():
    # Term 0 is in every title; terms 1 to 4 are each in half of the titles of one cluster.
    title = np.array([[0, 1 + c if half else 5 + 2 * c + k] for c in range(4) for half in (0, 1) for k in (0, 1)])
    catalog = planted_catalog(np.zeros(16, np.int64), 0.1)
    words = ("everywhere", *(f"own {c}" for c in range(4)), *(f"rare {c} {k}" for c in range(4) for k in range(2)))
    catalog = replace(catalog, title_terms=title.astype(np.int32), hashtag_terms=np.full((16, 1), -1), vocabulary=words)
    for c, keywords in enumerate(unique_keywords(catalog, np.arange(16), np.repeat(np.arange(4), 4), 4, 4)):
        assert keywords == (f"own {c}", f"rare {c} 0", f"rare {c} 1", "everywhere")


def test_the_first_three_keywords_are_no_words_of_a_facet_or_theme():
    topical = {word for words in WORLD.tree.keywords for word in words}
    assert all(topical.issuperset(keywords[:3]) for keywords in CLUSTERS.keywords)


def test_nearly_every_interest_is_some_cluster_s_majority():
    count = np.zeros((36, 24), int)
    np.add.at(count, (FILED[:, 1], WORLD.truth.interest[ITEMS]), 1)
    assert len(set(count.argmax(axis=1).tolist())) >= 0.95 * 24


def test_a_taken_description_is_lengthened_by_the_next_word():
    # Items of one cluster dealt to two: both have the same best word.
    cluster = np.arange(len(ITEMS)) % 2
    keywords = unique_keywords(WORLD.catalog, ITEMS, cluster, 2, 1)
    assert keywords[0] != keywords[1]
    assert {len(k) for k in keywords} <= {1, 2}


def test_a_cluster_of_few_words_has_only_its_own():
    catalog = planted_catalog(np.repeat(np.arange(4), 10), 0.1)
    keywords = unique_keywords(catalog, np.array([0, 10, 20, 30]), np.arange(4), 4, 5)
    for c, words in enumerate(keywords):
        assert 1 <= len(words) <= 4
        assert all(word.startswith(f"word {c} ") for word in words)


def test_clusters_with_the_same_words_get_different_descriptions():
    catalog = planted_catalog(np.zeros(3, np.int64), 0.1)
    alike = replace(catalog, title_terms=np.zeros((3, 1), np.int32), hashtag_terms=np.zeros((3, 1), np.int32))
    keywords = unique_keywords(alike, np.arange(3), np.arange(3), 3, 2)
    assert keywords == (("word 0 0",), ("word 0 0", "word 0 1"), ("word 0 0", "word 0 1", "word 0 2"))


def test_a_cluster_without_words_is_refused():
    catalog = planted_catalog(np.array([0, 1]), 0.1)
    terms = np.array([[0], [-1]], np.int32)
    with pytest.raises(InvalidInput, match=r"clusters\.keywords=1: this cluster's items have neither"):
        unique_keywords(replace(catalog, title_terms=terms, hashtag_terms=terms), np.arange(2), np.arange(2), 2, 2)


@pytest.mark.slow
def test_as_many_clusters_as_the_paper_has():
    interest = np.repeat(np.arange(761), 8)
    catalog = planted_catalog(interest, 0.8)
    config = replace(TINY.clusters, level_1=32, level_2=761, neighbours=7)
    items, traffic = np.arange(len(interest)), np.ones(len(interest))
    clusters = build_clusters(catalog, items, traffic, config)
    assert clusters.level_sizes == (32, 761, 1522, 3044)
    assert len(set(clusters.keywords)) == 761
    filed = clusters.file(catalog.embedding)
    assert adjusted_mutual_info_score(interest, filed[:, 1]) > 0.95
    load = np.bincount(filed[:, 1], minlength=761)
    assert load.max() / load.mean() < 1.5


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
