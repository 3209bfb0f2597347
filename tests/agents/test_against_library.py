"""The offline check; against the library itself where INTERESTLAB_LIBRARY_PYTHON names its Python."""

import os

import numpy as np
import pytest

from experiments.offline_check import check, interval, recall, split
from tests.agents.planted import make_log, planted, successor


def test_a_split_learns_from_the_past_and_asks_of_the_future():
    world = planted(successor())
    world.records.begin_day(4, world.platform.catalog)
    parts = split(world.log, world.platform, history=50)
    assert parts.train.day.max() == 3
    assert parts.liked.day.min() == 4
    assert parts.liked.positive.all()
    assert np.isin(parts.liked.item, world.platform.live_items()).all()
    pairs = set(zip(parts.liked.user.tolist(), parts.liked.item.tolist(), strict=True))
    later = world.log.where((world.log.day >= 4) & world.log.positive)
    assert pairs == set(zip(later.user.tolist(), later.item.tolist(), strict=True))
    assert len(pairs) == len(parts.liked)
    last = [parts.train.item[parts.train.user == user][-1] for user in parts.requests.user]
    assert (parts.requests.items[:, -1] == last).all()


def test_recall_counts_hits_among_ten():
    top = np.stack([np.arange(10), np.arange(10, 20), np.arange(20, 30)])
    liked = {3: [0, 9, 50], 5: [1], 8: [*range(20, 30), 40]}  # two of three, none, ten of eleven
    user = np.repeat(list(liked), [len(items) for items in liked.values()])
    item = np.concatenate(list(liked.values()))
    found = recall(top, np.array([3, 5, 8]), make_log(user, item, item * 0, item * 0))
    assert found == pytest.approx([2 / 3, 0, 1])


def test_the_interval_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    found = interval(rng.normal(2, 1, 400), rng)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert found["low"] < found["value"] < found["high"]


@pytest.mark.slow
@pytest.mark.skipif("INTERESTLAB_LIBRARY_PYTHON" not in os.environ, reason="no environment with RecTools is named")
def test_ours_is_no_worse_than_the_librarys(tmp_path):
    found = check(["world=small"], tmp_path, os.environ["INTERESTLAB_LIBRARY_PYTHON"])
    assert found["above the library"]["sequence, logQ in full"]["high"] > 0
    assert found["recall@10"]["sequence, logQ in full"]["value"] > found["recall@10"]["popular"]["value"]
