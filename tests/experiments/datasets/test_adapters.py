"""Every adapter on a miniature of its source, against answers worked out by hand."""

import numpy as np
import pytest

from experiments.datasets import kuairand, kuairec, mind, movielens, open_bandit
from tests.experiments.datasets import formats
from tests.experiments.datasets.formats import places


def test_kuairand(tmp_path):
    data = kuairand.read(formats.kuairand(tmp_path))
    assert (data.user_id, data.item_id) == (("17", "23"), ("10", "20", "30"))
    # day, step, user, slot, item: user 17 asks twice on day 0 and once on day 1
    assert places(data.log) == [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1), (0, 0, 1, 0, 1), (0, 1, 0, 0, 0), (1, 0, 0, 0, 2)]
    log = data.log
    assert log.watch_seconds.tolist() == [8, 1, 6, 0, 20]
    assert log.watch_fraction.tolist() == pytest.approx([0.2, 0.2, 1.2, 0, 0.5])
    assert log.liked.tolist() == [False, True, True, False, False]
    assert log.disliked.tolist() == [False, True, False, False, False]
    assert log.positive.tolist() == [False, False, True, False, True]  # not the one that is hated
    assert log.consumed.tolist() == [True, False, True, False, True]  # 8 of 40 s; 6 of 5 s; 20 of 40 s
    np.testing.assert_array_equal(log.propensity, np.float32([np.nan, np.nan, 1 / 7583, np.nan, np.nan]))
    assert [data.clusters.keywords[c] for c in data.cluster_of_item] == [("tag 12",), ("tag 12 / tag 65",), ("tag 9",)]
    assert data.clusters.parent.tolist() == [0, 0, 1]
    assert data.catalog.hashtags(1) == ("#tag12", "#tag65")
    assert data.catalog.creator.tolist() == [0, 1, 0]
    assert data.catalog.length.tolist() == [40, 5, 22.5]  # video 30's is unknown: the median
    assert data.catalog.upload_day.tolist() == [-7, 0, 1]  # video 30: the day it is first seen
    assert data.catalog.expiry_day.tolist() == [2, 2, 2]
    assert (data.has_watch, data.has_propensity, data.has_negatives) == (True, True, True)
    assert data.left_out == {
        "rows with too few or too many fields": 1,
        "rows without a number in video_id": 1,
        "rows of items that the source does not describe": 1,
        "rows of items without a category": 1,
        "rows that stand twice": 1,
        "items that no row shows": 2,
    }


def test_one_part_of_kuairand(tmp_path):
    random = kuairand.read(formats.kuairand(tmp_path), "random")
    assert places(random.log) == [(0, 0, 0, 0, 0)]
    assert random.user_id == ("23",)
    assert not kuairand.read(tmp_path, "standard").has_propensity


def test_kuairec(tmp_path):
    data = kuairec.read(formats.kuairec(tmp_path))
    assert (data.user_id, data.item_id) == (("14",), ("7", "148", "183"))
    assert places(data.log) == [(0, 0, 0, 0, 0), (1, 0, 0, 0, 1), (2, 0, 0, 0, 2)]  # days of Beijing
    assert data.log.watch_seconds.tolist() == pytest.approx([1, 13.838, 8])
    assert data.log.watch_fraction.tolist() == pytest.approx([0.033333, 1.273397, 0.266667])
    assert data.log.positive.tolist() == [False, True, False]  # complete, though shorter than 18 s
    assert data.log.consumed.tolist() == [False, True, True]
    assert data.catalog.length.tolist() == pytest.approx([30, 10.867, 30])
    assert [data.clusters.keywords[c][0] for c in data.cluster_of_item] == [
        "category 8", "category 27 / category 9", "category 8",
    ]  # fmt: skip
    assert data.left_out == {"rows without a number in timestamp": 1, "rows that stand twice": 1}
    assert (data.has_watch, data.has_propensity, data.has_negatives) == (True, False, True)
    small = kuairec.read(tmp_path, "small")
    assert (small.user_id, small.item_id, small.name) == (("3",), ("7",), "KuaiRec, small matrix")


def test_kuairec_with_captions_has_categories_by_name(tmp_path):
    formats.kuairec_captions(formats.kuairec(tmp_path))
    data = kuairec.read(tmp_path)
    assert [data.clusters.keywords[c][0] for c in data.cluster_of_item] == [
        "Food / Cooking", "HighTech", "Food / Cooking",
    ]  # fmt: skip
    assert [data.catalog.title(item) for item in range(3)] == ["noodles by hand", "", "soup"]


def test_mind(tmp_path):
    data = mind.read(formats.mind(tmp_path))
    assert (data.user_id, data.item_id) == (("U13740", "U91836"), ("N1", "N2", "N3", "N4"))
    # Day 0: what U13740's first row says that they had clicked before, which is N1 alone.
    assert places(data.log) == [
        (0, 0, 0, 0, 0), (1, 0, 0, 0, 1), (1, 1, 0, 0, 2), (1, 1, 0, 1, 3), (2, 0, 1, 0, 0), (2, 1, 1, 0, 3),
    ]  # fmt: skip
    assert data.log.positive.tolist() == [True, False, True, False, False, True]
    np.testing.assert_array_equal(data.log.consumed, data.log.positive)
    assert [data.clusters.keywords[c][0] for c in data.cluster_of_item] == [
        "sports / football_nfl", "sports / golf", "lifestyle / golf", "sports / football_nfl",
    ]  # fmt: skip
    assert data.clusters.parent.tolist() == [0, 1, 1]
    assert data.catalog.title(0) == "the bears win"
    assert "bears" in data.clusters.keywords[data.cluster_of_item[0]]
    assert (data.has_watch, data.has_propensity, data.has_negatives) == (False, False, True)
    assert data.log.watch_seconds.tolist() == [60, 0, 60, 0, 0, 60]
    assert data.left_out == {
        "rows without a user or a time": 1,
        "impressions without feedback": 2,
        "rows of items that the source does not describe": 1,
        "items that no row shows": 1,
    }


def test_mind_without_what_was_before(tmp_path):
    data = mind.read(formats.mind(tmp_path), "impressions")
    assert places(data.log)[0] == (0, 0, 0, 0, 1)
    assert len(data.log) == 5
    assert data.left_out["clicks before the log begins"] == 1


@pytest.mark.parametrize("old", [True, False])
def test_movielens(tmp_path, old):
    data = movielens.read(formats.movielens(tmp_path, old))
    assert (data.user_id, data.item_id) == (("1", "2"), ("3", "661", "1193"))
    assert places(data.log) == [(0, 0, 0, 0, 2), (0, 0, 1, 0, 2), (0, 1, 0, 0, 1), (1, 0, 1, 0, 0)]
    assert data.log.positive.tolist() == [True, False, False, True]  # 5, 2, 3 and 4 stars
    assert data.log.disliked.tolist() == [False, True, False, False]
    assert data.log.consumed.all()
    assert data.catalog.title(2) == "café one flew 1975"
    assert data.catalog.title(1) == "james and the giant peach a film 1996"
    assert data.catalog.hashtags(1) == ("#Animation", "#Children's", "#Musical")
    names = [data.clusters.keywords[c][0] for c in data.cluster_of_item]
    assert names == ["Drama / Romance", "Animation / Children's / Musical", "Drama"]
    assert data.clusters.parent[data.cluster_of_item].tolist() == [1, 0, 1]
    assert (data.has_watch, data.has_propensity, data.has_negatives) == (False, False, False)
    assert data.left_out == {}


def test_films_without_genres_are_counted(tmp_path):
    formats.movielens(tmp_path, False)
    with (tmp_path / "movies.csv").open("a") as file:
        file.write("9,Nothing (2000),(no genres listed)\n")
    with (tmp_path / "ratings.csv").open("a") as file:
        file.write("1,9,4.5,978300760\n")
    assert movielens.read(tmp_path).left_out == {"rows of items without a category": 1, "items that no row shows": 1}


def test_open_bandit(tmp_path):
    data = open_bandit.read(formats.open_bandit(tmp_path), "bts/men")
    # Each row is a user of its own, in the order of time; positions are slots.
    assert places(data.log) == [(0, 0, 0, 0, 0), (1, 0, 1, 2, 1), (1, 0, 2, 1, 2)]
    assert data.log.propensity.tolist() == [0.5, 0.25, 0.125]
    assert data.log.positive.tolist() == [False, True, False]
    assert [data.clusters.keywords[c][0] for c in data.cluster_of_item] == [
        "feature aaaaaaaa", "feature bbbbbbbb", "feature aaaaaaaa",
    ]  # fmt: skip
    assert (data.has_watch, data.has_propensity, data.has_negatives) == (False, True, True)


READERS = {
    "kuairand": lambda folder: kuairand.read(formats.kuairand(folder)),
    "kuairec": lambda folder: kuairec.read(formats.kuairec(folder)),
    "mind": lambda folder: mind.read(formats.mind(folder)),
    "movielens": lambda folder: movielens.read(formats.movielens(folder, True)),
    "open_bandit": lambda folder: open_bandit.read(formats.open_bandit(folder), "bts/men"),
}


@pytest.mark.parametrize("source", READERS)
def test_items_are_what_agents_expect_and_file_where_the_source_does(tmp_path, source):
    data = READERS[source](tmp_path / "a")
    embedding = data.catalog.embedding
    assert embedding.shape == (data.catalog.num_items, 256)
    assert embedding.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(embedding.astype(np.float32), axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(data.clusters.file(embedding)[:, 1], data.cluster_of_item)
    assert data.clusters.level_sizes[1:] == (data.clusters.num_clusters,) * 3
    again = READERS[source](tmp_path / "b")
    np.testing.assert_array_equal(again.catalog.embedding, embedding)
    assert again.clusters.digest == data.clusters.digest
    assert again.log.digest() == data.log.digest()
    data.write(tmp_path / "c")
    kept = type(data).read(tmp_path / "c")
    assert kept.log.digest() == data.log.digest()
    assert (kept.user_id, kept.item_id, kept.left_out) == (data.user_id, data.item_id, data.left_out)
    assert [kept.catalog.title(j) for j in range(kept.catalog.num_items)] == [
        data.catalog.title(j) for j in range(kept.catalog.num_items)
    ]
