"""A day that is served: who asks how often, what is written down, and when the night falls."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from sim.hidden.clustering import build_clusters
from sim.hidden.config import WorldConfig, from_mapping
from sim.hidden.serving_day import FilledSlates, serving_day
from sim.hidden.world import World
from sim.log import AGENT, PRODUCTION

MOST = 3


@pytest.fixture(scope="module")
def config() -> WorldConfig:
    with initialize_config_module("conf", version_base="1.3"):
        composed = compose("compare", ["world=tiny"])
    tiny = from_mapping(WorldConfig, OmegaConf.to_container(composed.world, resolve=True), "world")
    return replace(tiny, platform=replace(tiny.platform, max_requests_per_day=MOST))


@pytest.fixture
def world(config) -> World:
    return World(config, 0)


def records_of(world: World):
    items = np.arange(world.catalog.num_items)
    return world.new_records(build_clusters(world.catalog, items, np.ones(len(items)), world.config.clusters))


def shown(user, step):
    """Items that say who asked, and when: no two requests of a day get the same."""
    return FilledSlates.of((user[:, None] * MOST + step + np.arange(4) * 7) % 1000)


def test_active_users_ask_until_they_leave_or_reach_the_limit(world):
    with serving_day(world, records_of(world), 0) as today:
        asked = list(today.requests(shown))
    assert [served.step for served in asked] == list(range(MOST))
    assert asked[0].user.tolist() == today.active.tolist()
    for before, after in pairwise(asked):
        assert after.user.tolist() == before.user[~before.feedback.left].tolist()
    assert (~asked[-1].feedback.left).any()  # there are some who would have asked once more


def test_a_request_is_recorded_before_it_is_yielded(world):
    records = records_of(world)
    with serving_day(world, records, 0) as today:
        for served in today.requests(shown):
            seen = records.requests(served.user, 1)
            for row, (looked, items) in enumerate(zip(served.feedback.examined, served.slates.items, strict=True)):
                assert set(items[looked].tolist()) <= set(seen.exclude[row].tolist())
            rows = served.rows()
            took = rows.consumed
            assert records.consumed[rows.user[took], rows.cluster[took]].all()


def test_rows_are_what_was_examined_by_user_and_slot(world):
    with serving_day(world, records_of(world), 0) as today:
        served = next(iter(today.requests(shown)))
    rows = served.rows()
    row, slot = np.nonzero(served.feedback.examined)
    assert rows.user.tolist() == served.user[row].tolist()
    assert rows.slot.tolist() == slot.tolist()
    assert rows.item.tolist() == served.slates.items[row, slot].tolist()
    assert rows.cluster.tolist() == served.cluster_of_item[rows.item].tolist()
    assert np.isnan(rows.propensity).all()
    assert (rows.planned == -1).all()
    assert (rows.source == PRODUCTION).all()


def test_without_a_platform_nothing_is_filed(world):
    with serving_day(world, None, 0) as today:
        assert all((served.rows().cluster == -1).all() for served in today.requests(shown))


def test_only_those_asked_for_are_served_and_only_what_is_offered_is_there(world):
    records = records_of(world)
    some = np.array([3, 5, 8, 13, 21, 34])
    offered = replace(world.catalog, expiry_day=world.catalog.upload_day)
    with serving_day(world, records, 0, users=some, offered=lambda catalog: offered) as today:
        assert set(today.active.tolist()) <= set(some.tolist())
        assert records.catalog is offered


def test_the_night_falls_when_the_day_is_over_and_not_where_it_was_broken_off(world):
    people = world.population
    with serving_day(world, None, 0) as today:
        for _ in today.requests(shown):
            pass
        before = people.satiation.copy()
    assert (people.satiation != before).any()
    evening = people.satiation.copy()
    with pytest.raises(KeyboardInterrupt):
        break_off(world)
    assert (people.satiation == evening).all()


def break_off(world: World) -> None:
    with serving_day(world, None, 1):
        raise KeyboardInterrupt


def test_slates_are_put_together_by_user_or_by_slot():
    one = FilledSlates.of(np.array([[1, 2], [3, 4]]))
    two = FilledSlates.of(np.array([[5], [6]]), np.array([[0.5], [0.25]], np.float32), source=AGENT)
    wide = FilledSlates.joined([one, two], axis=1).taken(np.array([[2, 0, 1], [0, 2, 1]]), axis=1)
    assert wide.items.tolist() == [[5, 1, 2], [3, 6, 4]]
    assert wide.source.tolist() == [[AGENT, PRODUCTION, PRODUCTION], [PRODUCTION, AGENT, PRODUCTION]]
    assert wide.propensity[0, 0] == 0.5
    assert wide.propensity[1, 1] == 0.25
    assert np.isnan(wide.propensity[0, 1:]).all()
    long = FilledSlates.joined([one, one], axis=0).taken(np.array([3, 0]), axis=0)
    assert long.items.tolist() == [[3, 4], [1, 2]]
    assert long.cluster.tolist() == [[-1, -1], [-1, -1]]
