"""Items that users choose, that are popular, or that happen by: known answers in a world of three interests."""

import numpy as np
import pytest

from sim.hidden.channels import LiveItems, channel_slates
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE
from sim.random import RandomStream
from tests.sim.people import people

USERS = 20_000
NOTHING = np.empty((USERS, 0), np.int64)
INTEREST = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])  # of items 0 .. 99
OWN, TRENDING, STRAY = np.eye(3)


def live(weight=None, alive=None):
    alive = np.ones(100, bool) if alive is None else alive
    return LiveItems.of(alive, INTEREST, 4, np.ones(100) if weight is None else np.asarray(weight, float))


@pytest.fixture
def crowd():
    """Users who all know interests 0 and 1, love 2 without knowing it, and have picked up 3."""
    population = people(USERS, slots=5)
    population.interest[:] = [0, 1, 2, 3, -1]
    population.status[:] = [DISCOVERED, DISCOVERED, DORMANT, ACQUIRED, FREE]
    population.affinity[:] = [0.8, 0.6, 0.9, 0.2, 0.0]
    population.satiation[:] = [0.5, 0.0, 0.0, 0.0, 0.0]
    return population


def shown(population, shares, items, exclude=NOTHING, slots=1, name="x"):
    return channel_slates(population, np.arange(USERS), shares, items, exclude, slots, RandomStream(0, name))


def near(count, chance, num=USERS):
    return abs(count - num * chance) < 5 * (num * chance * (1 - chance)) ** 0.5


def test_users_choose_known_interests_by_affinity_less_satiation(crowd):
    chosen = np.bincount(INTEREST[shown(crowd, OWN, live())[:, 0]], minlength=4)
    # 0.8 x 0.5, 0.6, dormant, 0.2: together 1.2
    assert near(chosen[0], 1 / 3)
    assert near(chosen[1], 1 / 2)
    assert chosen[2] == 0
    assert near(chosen[3], 1 / 6)


def test_within_an_interest_every_item_is_as_likely(crowd):
    crowd.status[:, 1:] = FREE
    counts = np.bincount(shown(crowd, OWN, live())[:, 0], minlength=100)
    assert (counts[10:] == 0).all()
    assert all(near(count, 0.1) for count in counts[:10])


def test_what_is_popular_comes_as_often_as_it_was_consumed(crowd):
    weight = np.arange(100)
    counts = np.bincount(shown(crowd, TRENDING, live(weight))[:, 0], minlength=100)
    assert counts[0] == 0
    assert all(near(counts[item], weight[item] / weight.sum()) for item in range(1, 100))
    assert len(set(shown(crowd, TRENDING, live(np.zeros(100)))[:, 0].tolist())) == 100  # nothing is popular yet


def test_stray_items_are_any(crowd):
    counts = np.bincount(shown(crowd, STRAY, live())[:, 0], minlength=100)
    assert all(near(count, 0.01) for count in counts)


def test_channels_come_in_their_shares(crowd):
    alive = np.ones(100, bool)
    alive[INTEREST == 3] = False
    crowd.status[:, [1, 3]] = FREE  # own: interest 0; popular: one item of interest 1
    weight = (np.arange(100) == 10).astype(float)
    counts = np.bincount(shown(crowd, np.array([0.5, 0.3, 0.2]), live(weight, alive))[:, 0], minlength=100)
    assert near(counts[:10].sum(), 0.5 + 0.2 / 6)
    assert near(counts[10], 0.3 + 0.2 / 60)


def test_nothing_is_shown_that_is_excluded_expired_or_on_the_slate(crowd):
    alive = np.arange(100) % 2 == 0
    exclude = np.tile(np.arange(0, 90, 4), (USERS, 1))
    slates = shown(crowd, np.array([0.4, 0.3, 0.3]), live(alive=alive), exclude, slots=10)
    assert alive[slates].all()
    assert not np.isin(slates, exclude[0]).any()
    assert all(len(set(row)) == 10 for row in slates[:500].tolist())


def test_who_knows_nothing_or_has_seen_it_all_is_shown_what_is_popular(crowd):
    weight = (np.arange(100) == 99).astype(float)
    seen = np.tile(np.flatnonzero(INTEREST < 2), (USERS, 1))
    crowd.status[:, 3] = FREE
    crowd.status[: USERS // 2, :2] = DORMANT
    slates = shown(crowd, OWN, live(weight), seen)
    assert (slates == 99).all()


def test_where_everything_was_seen_something_is_shown_once_more(crowd):
    everything = np.tile(np.arange(100), (USERS, 1))
    slates = shown(crowd, OWN, live(), everything)
    assert ((slates >= 0) & (slates < 100)).all()


def test_a_users_items_depend_on_nobody_else(crowd):
    together = shown(crowd, np.array([0.4, 0.3, 0.3]), live(), slots=4)
    some = np.array([3, 77, 1999])
    alone = channel_slates(crowd, some, np.array([0.4, 0.3, 0.3]), live(), NOTHING[:3], 4, RandomStream(0, "x"))
    assert (alone == together[some]).all()
