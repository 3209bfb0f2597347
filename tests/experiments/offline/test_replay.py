"""A replayed platform is the one that lived through the log."""

from dataclasses import fields, replace

import numpy as np
import pytest

from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.simulated import burn_in_dataset
from experiments.live.pipeline import burn_in, cluster
from experiments.offline.replay import replay
from experiments.study.study import check_study
from sim.hidden.config import PlatformConfig
from sim.log import InteractionLog
from sim.platform import Requests
from tests.agents.planted import planted, successor
from tests.composing import compose


def same_requests(one, other):
    for f in fields(Requests):
        np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name), err_msg=f.name)


@pytest.mark.parametrize(("users", "per_day"), [(60, 10), (7, 40)])
def test_replay_gives_the_live_platforms_records(users, per_day):
    """Also where a day has more impressions a user than are written down at a time."""
    lived = planted(successor(), num_users=users, per_day=per_day)
    data = LoggedDataset("x", "test", users, lived.log, lived.platform.catalog, lived.platform.clusters)
    memory = PlatformConfig(history_length=50, history_days=30, seen_length=20, max_requests_per_day=12)
    records = replay(data, data.cluster_of_item, 6, memory, exclude_seen=True)
    same_requests(records.requests(np.arange(users), 5), lived.requests())
    np.testing.assert_array_equal(records.consumed, lived.records.consumed)
    free = replay(data, data.cluster_of_item, 6, memory, exclude_seen=False).requests(np.arange(users), 5)
    same_requests(replace(free, exclude=np.zeros(0)), replace(lived.requests(), exclude=np.zeros(0)))
    assert free.exclude.shape == (users, 0)


def test_users_with_uneven_rows_keep_their_own_order():
    """One user has 50 rows in a day, others two, in between."""
    lived = planted(successor(), num_users=3, days=1, per_day=50)
    kept = (lived.log.user == 1) | (lived.log.step % 25 == 3)
    log = lived.log.where(kept)
    data = LoggedDataset("x", "test", 3, log, lived.platform.catalog, lived.platform.clusters)
    memory = PlatformConfig(history_length=40, history_days=30, seen_length=45, max_requests_per_day=12)
    asked = replay(data, data.cluster_of_item, 1, memory, exclude_seen=True).requests(np.arange(3), 5)
    for user in range(3):
        mine = log.item[log.user == user]
        assert asked.items[user][asked.items[user] >= 0].tolist() == mine[-40:].tolist()
        assert set(asked.exclude[user].tolist()) - {-1} == set(mine[-45:].tolist())


def test_a_worlds_burn_in_replayed_is_its_platform(tmp_path, shared_cache):
    study = check_study(compose("compare", ["world=tiny", "experiment.burn_in_days=3", f"cache_dir={shared_cache}"]))
    data = burn_in_dataset(study)
    before = burn_in(study)
    world = study.build_world()
    world.load(before.folder / "state")
    lived = world.new_records(data.clusters)
    lived.load(cluster(study, before).folder / "records.safetensors", data.catalog, data.clusters)
    lived.begin_day(3, data.catalog)
    records = replay(data, data.cluster_of_item, 3, study.world.platform, exclude_seen=True)
    everyone = np.arange(data.num_users)
    same_requests(records.requests(everyone, 5), lived.requests(everyone, 5))
    np.testing.assert_array_equal(records.consumed, lived.consumed)
    np.testing.assert_array_equal(records.cluster_of_item, lived.cluster_of_item)
    # ... and through the data set's folder, which is how other processes get it.
    data.write(tmp_path)
    read = LoggedDataset.read(tmp_path)
    again = replay(read, read.cluster_of_item, 3, study.world.platform, exclude_seen=True)
    same_requests(again.requests(everyone, 5), lived.requests(everyone, 5))
    assert isinstance(read.log, InteractionLog)
