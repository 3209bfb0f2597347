"""The users' life before day 0, and what they choose for themselves afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from envs.config import world_config
from sim.errors import InvalidInput
from sim.hidden.population import DISCOVERED, LOVED
from sim.hidden.prior import first_records, live_prior, with_own_requests
from sim.hidden.serving_day import FilledSlates, serving_day
from sim.hidden.world import World
from sim.log import OWN, PRIOR, PRODUCTION, check_order

DAYS = 6


def config(days=DAYS, own=0.6, trending=0.3, stray=0.1, **world):
    tiny = world_config("tiny")
    return replace(tiny, prior=replace(tiny.prior, days=days, own=own, trending=trending, stray=stray), **world)


def lived(settings=None, seed=0, threads=1):
    world = World(settings or config(), seed, threads)
    records = first_records(world)
    return world, records, live_prior(world, records)


def test_it_ends_before_day_0_and_the_platform_has_seen_it():
    world, records, log = lived()
    assert (world.first_day, world.day) == (-DAYS, -1)
    assert np.unique(log.day).tolist() == list(range(-DAYS, 0))
    assert (log.source == PRIOR).all()
    assert np.isnan(log.propensity).all()
    check_order(log)
    requests = records.requests(np.arange(150), 1)
    for user in range(0, 150, 10):
        rows = (log.user == user) & log.consumed
        known = requests.items[user][requests.items[user] >= 0]
        assert known.tolist() == log.item[rows][-len(requests.items[user]) :].tolist()
        assert set(log.cluster[rows].tolist()) == set(np.flatnonzero(records.consumed[user]).tolist())


def test_it_goes_on_into_day_0():
    world, records, _ = lived()
    satiation = world.population.satiation.copy()
    with serving_day(world, records, 0) as today:
        assert len(today.active)
    assert (world.population.satiation[satiation > 0] < satiation[satiation > 0]).all()  # a night has passed


def test_nobody_leaves_for_good_and_late_joiners_come_later():
    settings = config()
    settings = replace(settings, dynamics=replace(settings.dynamics, churn_per_visit=0.9))
    world, _, log = lived(settings)
    assert not world.population.churned.any()
    late = world.population.joins > 0
    assert 0 < late.sum() < 50
    assert not np.isin(log.user, np.flatnonzero(late)).any()


def test_threads_change_no_byte():
    assert lived()[2].digest() == lived(threads=3)[2].digest()
    assert lived()[2].digest() != lived(seed=1)[2].digest()


def test_users_who_choose_for_themselves_watch_what_they_know():
    world = World(config(), 0)
    known = [set(world.population.interest[user][world.population.status[user] == DISCOVERED]) for user in range(150)]

    def share_known(own, stray):
        world, _, log = lived(config(own=own, trending=0.0, stray=stray, days=2))
        first = (log.day == -2) & (log.step == 0)
        pairs = zip(log.user[first].tolist(), world.truth.interest[log.item[first]].tolist(), strict=True)
        return np.mean([interest in known[user] for user, interest in pairs])

    assert share_known(1.0, 0.0) > 0.98  # an interest of fewer items than a slate has slots runs out
    assert share_known(0.0, 1.0) < 0.5


def test_without_days_nothing_is_lived():
    world, records, log = lived(config(days=0))
    assert len(log) == 0
    assert world.day == world.first_day == 0
    assert (records.requests(np.arange(150), 1).items == -1).all()


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.5, 0.3, 0.1), "own, trending and stray must sum to 1, not to 0.9"),
        ((1.2, -0.1, -0.1), "world.prior.own=1.2"),
        ((0.5, 0.6, -0.1), "world.prior.stray=-0.1"),
    ],
)
def test_shares_that_do_not_add_up_or_are_negative_are_refused(shares, said):
    from sim.hidden.config import PriorConfig, from_mapping

    entries = dict(zip(("own", "trending", "stray"), shares, strict=True))
    with pytest.raises(InvalidInput, match=said):
        from_mapping(PriorConfig, {"days": 3, **entries}, "world.prior")


def test_a_life_in_which_nobody_knows_anything_is_refused():
    settings = config()
    nobody = replace(settings.population, adoption=0.0, idiosyncratic_interests=0)
    with pytest.raises(InvalidInput, match=r"world.prior.own=0.6: must be 0, since no user of this world knows any"):
        lived(replace(settings, population=nobody))
    without = replace(settings, prior=replace(settings.prior, days=0), population=nobody, own_share=0.2)
    with pytest.raises(InvalidInput, match=r"world.own_share=0.2: must be 0, since no user of this world knows any"):
        first_records(World(without, 3))
    _, _, log = lived(replace(config(own=0.0, trending=0.5, stray=0.5), population=nobody))
    assert len(log)


def shown(user, step):
    return FilledSlates.of(np.tile(np.arange(10), (len(user), 1)))


def test_a_share_of_the_requests_is_the_users_own():
    world, records, _ = lived(config(own_share=0.3))
    served = []
    for day in range(4):
        with serving_day(world, records, day) as today:
            served += list(today.requests(with_own_requests(world, records, 10, shown)))
    source = np.concatenate([s.slates.source for s in served])
    assert (source == source[:, :1]).all()  # a request is one or the other
    own = (source[:, 0] == OWN).mean()
    assert abs(own - 0.3) < 5 * (0.3 * 0.7 / len(source)) ** 0.5
    recommended = [s.recommended() for s in served]
    assert all((s.slates.source == PRODUCTION).all() for s in recommended)
    assert sum(len(s.user) for s in recommended) == (source[:, 0] == PRODUCTION).sum()
    theirs = next(s for s in served if (s.slates.source[:, 0] == OWN).any())
    users = theirs.user[theirs.slates.source[:, 0] == OWN]
    held = world.population.interest[users]
    chosen = world.truth.interest[theirs.slates.items[theirs.slates.source[:, 0] == OWN]]
    assert (chosen[:, :, None] == held[:, None, :]).any(axis=2).mean() > 0.9


def test_users_choose_from_what_their_platform_may_show():
    world, records, _ = lived(config(own_share=0.5))
    even = replace(world.catalog, expiry_day=np.where(np.arange(world.catalog.num_items) % 2, -99, 99).astype(np.int32))
    with serving_day(world, records, 0, offered=lambda catalog: even) as today:
        first = next(iter(today.requests(with_own_requests(world, records, 10, shown))))
    chosen = first.slates.items[first.slates.source == OWN]
    assert len(chosen)
    assert (chosen % 2 == 0).all()


def test_whose_requests_are_their_own_is_the_same_whatever_is_shown():
    def first_requests(show):
        world, records, _ = lived(config(own_share=0.3))
        with serving_day(world, records, 0) as today:
            first = next(iter(today.requests(with_own_requests(world, records, 10, show))))
        return first.slates.items[first.slates.source[:, 0] == OWN]

    other = first_requests(lambda user, step: FilledSlates.of(np.tile(np.arange(20, 30), (len(user), 1))))
    assert (first_requests(shown) == other).all()


def test_without_a_share_nothing_is_changed():
    world, records, _ = lived()
    with serving_day(world, records, 0):
        assert with_own_requests(world, records, 10, shown) is shown


def test_users_still_love_what_they_loved():
    world, _, _ = lived()
    fresh = World(config(), 0).population
    assert (np.isin(world.population.status, LOVED).sum(axis=1) >= np.isin(fresh.status, LOVED).sum(axis=1) - 3).all()
