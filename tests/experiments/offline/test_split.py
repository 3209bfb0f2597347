"""A log cut in time: who is asked, what of, and what is counted as left out."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.datasets.dataset import LoggedDataset
from experiments.offline.replay import replay
from experiments.offline.split import dataset_digest, split
from experiments.offline.tasks import tasks_of
from sim.errors import InvalidInput
from sim.hidden.config import PlatformConfig
from sim.log import PRIOR, InteractionLog
from sim.platform import Platform
from tests.agents.planted import make_log
from tests.experiments.offline.ring import NUM_CLUSTERS, ring_dataset

MEMORY = PlatformConfig(history_length=50, history_days=30, seen_length=100, max_requests_per_day=12)


def dataset_of(rows, num_users=6):
    """Of (user, day, item, positive) rows; an item's cluster is item mod ``NUM_CLUSTERS``."""
    user, day, item, positive = (np.array(column) for column in zip(*rows, strict=True))
    like = ring_dataset(24, 3)
    slot = [sum(before[:2] == row[:2] for before in rows[:number]) for number, row in enumerate(rows)]
    log = make_log(user, item, item % NUM_CLUSTERS, day, positive == 1)
    return replace(like, num_users=num_users, log=replace(log, slot=np.array(slot)))


ROWS = [
    (0, 0, 1, 1), (1, 0, 2, 1), (2, 0, 3, 0), (0, 1, 25, 1), (3, 1, 4, 1),
    (0, 2, 1, 1), (0, 2, 7, 1), (2, 2, 5, 1), (3, 2, 8, 0), (4, 2, 9, 1), (0, 3, 7, 1), (0, 3, 49, 1), (0, 3, 31, 1),
]  # fmt: skip
"""Held out are days 2 and 3. User 0 can be asked; 1 never came back, 2 and 4 liked nothing before, 3 nothing after, 5
never came."""


def tasks(parts, exclude_seen=True):
    records = replay(parts.history, parts.cluster_of_item, parts.day, MEMORY, exclude_seen)
    return tasks_of(parts, Platform(records), records.requests(parts.asked, 5))


def test_every_user_is_asked_or_counted():
    parts = split(dataset_of(ROWS), 2)
    assert parts.day == 2
    assert parts.asked.tolist() == [0]
    assert list(parts.users.values()) == [1, 3, 2]
    assert sum(parts.users.values()) == 6
    assert parts.history.log.day.tolist() == [0, 0, 0, 1, 1]
    assert parts.liked.item.tolist() == [1, 7, 49, 31]  # 7 once, though it pleased twice


def test_a_day_of_the_life_before_day_0_is_not_held_out():
    data = dataset_of(ROWS)
    source = np.where(data.log.day < 2, PRIOR, data.log.source).astype(np.int8)
    lived = replace(data, log=replace(data.log, source=source))
    assert split(lived, 2).asked.tolist() == [0]
    with pytest.raises(InvalidInput, match=r"held_out_days=3: must be at most 2: before that, users lived without"):
        split(lived, 3)


def test_targets_are_what_pleased_and_could_be_shown():
    actual = tasks(split(dataset_of(ROWS), 2))
    item, cluster, novel = (actual[name] for name in ("next_item", "next_cluster", "next_novel_cluster"))
    assert item.target.tolist() == [7, 31, 49]
    assert list(item.left_out.values()) == [0, 1]  # item 1 was shown to the user before
    assert item.unseen.tolist() == [True, True, False]
    assert item.num_candidates.tolist() == [144 - 2]
    assert cluster.target.tolist() == [1, 7]
    assert cluster.num_candidates.tolist() == [NUM_CLUSTERS]
    assert novel.target.tolist() == [7]
    assert novel.num_candidates.tolist() == [NUM_CLUSTERS - 1]
    assert list(novel.left_out.values()) == [1]
    again = tasks(split(dataset_of(ROWS), 2), exclude_seen=False)["next_item"]
    assert again.target.tolist() == [1, 7, 31, 49]
    assert again.num_candidates.tolist() == [144]


def test_an_item_that_is_uploaded_later_is_neither_learned_nor_asked_for():
    data = dataset_of(ROWS)
    upload = np.where(np.arange(144) < 48, 0, 3).astype(np.int32)
    parts = split(replace(data, catalog=replace(data.catalog, upload_day=upload)), 2)
    assert parts.history.catalog.num_items == len(parts.cluster_of_item) == 48
    actual = tasks(parts)
    assert actual["next_item"].target.tolist() == [7, 31]
    assert list(actual["next_item"].left_out.values()) == [1, 1]
    assert actual["next_cluster"].target.tolist() == [1, 7]


def test_the_log_says_where_items_are_filed_also_where_embeddings_would_not():
    data = dataset_of(ROWS)
    elsewhere = data.log.with_clusters((np.arange(144, dtype=np.int32) + 5) % NUM_CLUSTERS)
    parts = split(replace(data, log=elsewhere), 2)
    records = replay(parts.history, parts.cluster_of_item, parts.day, MEMORY, True)
    assert records.cluster_of_item[[1, 7, 49]].tolist() == [6, 12, 6]
    assert np.flatnonzero(records.consumed[0]).tolist() == [6]
    assert set(records.requests(np.array([0]), 3).clusters[0].tolist()) == {-1, 6}


@pytest.mark.parametrize(
    ("rows", "days", "message"),
    [
        (ROWS, 4, "held_out_days=4: must leave some of the days 0 to 3"),
        (ROWS[:5], 1, r"asked 0; left out: no positive in the held-out days 5"),
        ([ROWS[0]], 1, "must leave some of the days 0 to 0"),
    ],
)
def test_a_log_that_leaves_nothing_to_ask_is_refused(rows, days, message):
    data = dataset_of(rows)
    if message.startswith("asked"):
        data = replace(data, log=data.log.where(data.log.user != 0))
    with pytest.raises(InvalidInput, match=message):
        split(data, days)


def test_an_empty_log_is_refused():
    data = ring_dataset(24, 3)
    empty = LoggedDataset("none", "test", 24, InteractionLog.concatenate([]), data.catalog, data.clusters)
    with pytest.raises(InvalidInput, match="its log is empty"):
        split(empty, 1)


def test_different_data_sets_have_different_digests():
    data = dataset_of(ROWS)
    other = replace(data, catalog=replace(data.catalog, length=data.catalog.length + 1))
    digests = {dataset_digest(each) for each in (data, other, dataset_of(ROWS[:-1]), replace(data, num_users=7))}
    assert len(digests) == 4
    assert dataset_digest(dataset_of(ROWS)) == dataset_digest(data)
