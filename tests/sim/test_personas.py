from dataclasses import replace

import numpy as np
import pytest

from sim.hidden.personas import Swap, drift_links, follow
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE, PERSONA_STRENGTH
from sim.hidden.tree import PersonaLinks, load_tree
from sim.hidden.world import World
from sim.random import RandomStream
from tests.sim.people import TINY, people

LINKS = load_tree(24).links
SURE = replace(TINY.population, adoption=1.0, love_threshold=0.0)
STREAM = RandomStream(0, "fashion")


def drifted(per_day, days=1, trend=None):
    links, swaps = LINKS, []
    for day in range(days):
        links, today = drift_links(links, np.zeros(24) if trend is None else trend, per_day, STREAM.at(day))
        swaps += today
    return links, swaps


def test_without_drift_links_stay_and_with_certainty_all_are_swapped():
    links, swaps = drifted(0.0)
    assert not swaps
    np.testing.assert_array_equal(links.interest, LINKS.interest)
    links, swaps = drifted(1.0)
    named = LINKS.interest >= 0
    assert len(swaps) == named.sum()
    assert (links.interest[named] != LINKS.interest[named]).all()
    np.testing.assert_array_equal(links.strength, LINKS.strength)


def test_the_rate_of_swaps_is_the_constant_and_no_persona_names_an_interest_twice():
    links, swaps = drifted(0.05, days=200)
    expected = 200 * 0.05 * (LINKS.interest >= 0).sum()
    assert abs(len(swaps) - expected) < 4 * expected**0.5
    for row in links.interest:
        named = row[row >= 0].tolist()
        assert len(set(named)) == len(named)


def test_trending_interests_are_taken_up():
    trend = np.full(24, -30.0)
    trend[7] = 0.0
    _, swaps = drifted(0.2, trend=trend)
    free_to_take = [s for s in swaps if 7 not in LINKS.interest[s.persona]]
    assert free_to_take
    first = {s.persona: s for s in reversed(free_to_take)}
    assert {s.taken for s in first.values()} == {7}


def member(status, affinity=0.8):
    """One member of persona 0, and one of persona 1, who keep interest 0."""
    population = people(2, status=status, affinity=affinity)
    population.persona[:, 0] = [0, 1]
    return population


LINKS_OF_TWO = PersonaLinks(np.array([[5, 2], [6, 3]], np.int32), np.full((2, 2), 0.5))
SWAP = Swap(persona=0, place=0, dropped=0, taken=5, strength=0.5)


def test_a_member_drops_the_dormant_interest_and_takes_up_the_new_one_and_others_do_not():
    population = member(DORMANT)
    follow(population, SWAP, LINKS_OF_TWO, SURE, STREAM)
    assert population.interest[0].tolist() == [5, -1, -1, -1]
    assert population.status[0].tolist() == [DORMANT, FREE, FREE, FREE]
    assert 0.75 * 0.5 <= population.affinity[0, 0] <= 1.15 * 0.5
    assert population.interest[1].tolist() == [0, -1, -1, -1]


def test_discovered_interests_are_kept():
    population = member(DISCOVERED)
    follow(population, SWAP, LINKS_OF_TWO, SURE, STREAM)
    assert population.interest[0].tolist() == [0, 5, -1, -1]
    assert population.status[0].tolist() == [DISCOVERED, DORMANT, FREE, FREE]
    assert population.affinity[0, 0] == np.float32(0.8)


def test_a_love_that_another_persona_names_stays():
    population = member(DORMANT)
    population.persona[0, 1] = 1
    links = replace(LINKS_OF_TWO, interest=np.array([[5, 2], [0, 3]], np.int32))
    follow(population, SWAP, links, SURE, STREAM)
    assert population.interest[0].tolist() == [0, 5, -1, -1]


def test_an_acquired_interest_becomes_loved_and_keeps_its_exposures():
    population = member(DISCOVERED)
    population.interest[0, 1], population.status[0, 1], population.exposures[0, 1] = 5, ACQUIRED, 3
    follow(population, SWAP, LINKS_OF_TWO, SURE, STREAM)
    assert population.status[0, 1] == DORMANT
    assert population.exposures[0, 1] == 3
    assert population.affinity[0, 1] >= 0.75 * 0.5


def test_the_share_of_members_who_follow_is_the_adoption_and_rank_weakens_it():
    population = people(6000, status=DISCOVERED)
    population.persona[:3000, 0], population.persona[3000:, 2] = 0, 0
    follow(population, SWAP, LINKS_OF_TWO, replace(SURE, adoption=0.7), STREAM)
    takes = (population.interest == 5).any(axis=1)
    assert takes.mean() == pytest.approx(0.7, abs=0.025)
    felt = population.affinity[:, 1]
    assert felt[3000:].max() <= PERSONA_STRENGTH[2] * 0.5 * 1.15
    assert felt[:3000][takes[:3000]].mean() == pytest.approx(0.5 * 0.95, rel=0.02)


def test_a_world_drifts_alike_whatever_its_users_do_and_not_at_all_at_0():
    fast = replace(TINY, dynamics=replace(TINY.dynamics, persona_drift_per_day=0.05))
    one, other = World(fast, 0), World(fast, 0)
    for day in range(5):
        active = one.begin_day(day)
        one.respond(active, np.tile(np.arange(5), (len(active), 1)), 0)
        one.end_day(active)
        other.end_day(other.begin_day(day))
    np.testing.assert_array_equal(one.links.interest, other.links.interest)
    assert (one.links.interest != one.tree.links.interest).any()
    still = World(replace(TINY, dynamics=replace(TINY.dynamics, persona_drift_per_day=0.0)), 0)
    before = still.population.copy()
    for day in range(3):
        still.begin_day(day)
    np.testing.assert_array_equal(still.population.interest, before.interest)
