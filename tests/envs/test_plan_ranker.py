import numpy as np
import pytest

from envs.plan_ranker import TEMPERATURE, liked_embedding, rank_within, shortlist
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.platform import Requests
from sim.random import RandomStream

STREAM = RandomStream(0, "plan")


def catalog_of(embedding):
    num = len(embedding)
    terms = np.full((num, 1), -1, np.int32)
    ones = np.ones(num, np.int32)
    return Catalog(ones, ones.astype(np.float32), 0 * ones, ones, np.array(embedding, np.float16), terms, terms, ())


def requests_of(num_users, num_slots, exclude=(), history=(), positive=()):
    def rows(values, dtype):
        return np.tile(np.array(values, dtype), (num_users, 1))

    return Requests(
        user=np.arange(num_users),
        day=0,
        items=rows(history, np.int64),
        clusters=rows(np.zeros(len(history)), np.int32),
        watch=rows(np.ones(len(history)), np.float32),
        positive=rows(positive, bool),
        exclude=rows(exclude, np.int64),
        num_slots=num_slots,
    )


def test_a_centre_is_the_mean_direction_of_the_leaves():
    path = np.array([[0, 1, 0, 0], [0, 0, 1, 1], [0, 1, 2, 2]])
    clusters = InterestClusters(path, np.eye(3, dtype=np.float32), (("a",), ("b",)))
    half = 2**-0.5
    np.testing.assert_allclose(clusters.centroid_2, [[0, 1, 0], [half, 0, half]], rtol=1e-6)


def test_a_shortlist_has_its_own_cluster_first_and_the_nearest_first_within():
    catalog = catalog_of([[0.1], [0.9], [0.5], [0.7], [0.3], [0.8]])
    cluster_of_item = np.array([1, 0, 1, 0, 1, 1])
    live = np.array([0, 1, 2, 3, 4])  # 5 is gone
    chosen = shortlist(catalog.embedding[live].astype(np.float32), live, cluster_of_item, 1, np.ones(1, np.float32), 4)
    assert chosen.tolist() == [2, 4, 0, 1]  # its own .5 .3 .1, then the nearer of the others


def test_within_the_cluster_the_chance_grows_with_similarity_to_what_was_liked():
    num = 20_000
    catalog = catalog_of([[1, 0], [0.1, 0], [0.2, 0], [0, 0]])
    shortlists = np.tile(np.arange(1, 4), (num, 1))
    requests = requests_of(num, 1, history=[0, 3], positive=[True, False])
    items = rank_within(requests, shortlists, shortlists < 3, catalog, STREAM)[:, 0]
    embedding = catalog.embedding[:, 0].astype(float)
    odds = np.exp((embedding[2] - embedding[1]) / TEMPERATURE)
    assert not (items == 3).any()  # of another cluster, and not needed
    # Standard error at most 0.5 / sqrt(20000) = 0.0035; five of them.
    assert abs((items == 2).mean() - odds / (1 + odds)) < 0.018


def test_without_anything_liked_the_clusters_items_are_equally_likely():
    num = 20_000
    catalog = catalog_of(np.linspace(0, 1, 6)[:, None])
    shortlists = np.tile(np.arange(6), (num, 1))
    requests = requests_of(num, 2, history=[-1, 5], positive=[False, False])
    items = rank_within(requests, shortlists, np.ones(shortlists.shape, bool), catalog, STREAM)
    share = np.bincount(items.ravel(), minlength=6) / num
    assert np.abs(share - 1 / 3).max() < 0.017  # standard error sqrt(2/9 / 20000) = 0.0033; five of them


def test_an_exhausted_cluster_is_filled_with_the_nearest_others_in_order():
    shortlists = np.array([[4, 2, 7, 1, 5, 0, 6, 3]])
    own = np.array([[True, True, True, False, False, False, False, False]])
    requests = requests_of(1, 4, exclude=[2, 1, 4, -1])
    items = rank_within(requests, shortlists, own, catalog_of(np.zeros((8, 1))), STREAM)
    assert items.tolist() == [[7, 5, 0, 6]]  # 7 is all that is left of the cluster's own


def test_too_short_a_shortlist_is_refused():
    requests = requests_of(1, 4, exclude=[2, 1, 4])
    with pytest.raises(InvalidInput, match=r"num_slots=4: must be at most 3"):
        rank_within(
            requests, np.array([[4, 2, 7, 1, 5, 0]]), np.ones((1, 6), bool), catalog_of(np.zeros((8, 1))), STREAM
        )


def test_a_users_slate_does_not_depend_on_the_others():
    generator = np.random.default_rng(0)
    catalog = catalog_of(generator.normal(size=(40, 5)))
    shortlists = np.stack([generator.permutation(40)[:30] for _ in range(6)])
    own = generator.random((6, 30)) < 0.3
    together = rank_within(requests_of(6, 5), shortlists, own, catalog, STREAM)
    for i in range(6):
        one = Requests(**{**requests_of(1, 5).__dict__, "user": np.array([i])})
        assert rank_within(one, shortlists[i : i + 1], own[i : i + 1], catalog, STREAM).tolist() == [
            together[i].tolist()
        ]


def test_what_was_liked_is_averaged_and_nothing_liked_is_zero():
    catalog = catalog_of([[1, 0], [0, 1], [0.5, 0.5]])
    some = liked_embedding(requests_of(1, 1, history=[-1, 0, 1, 2], positive=[0, 1, 1, 0]), catalog)
    none = liked_embedding(requests_of(1, 1, history=[-1, 0, 1, 2], positive=[0, 0, 0, 0]), catalog)
    assert some.tolist() == [[0.5, 0.5]]
    assert none.tolist() == [[0, 0]]
