"""The facts in very small worlds: a mechanism that is switched off is missed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiments.certify.measures import control_twin, measure
from experiments.certify.probes import satiation, satiation_probe, successor_stability
from experiments.live.reference_life import simulate_policy, warmed_up
from experiments.live.reference_policies import EXPLORED_SLOTS, Exploring, Greedy, Informed, Popular, Random
from experiments.live.slates import RankedLists, fill_best, fill_next, nth_unmarked
from sim.hidden.world import World
from sim.log import AGENT, PRODUCTION
from sim.random import RandomStream
from tests.experiments.certified import changed, tiny

STREAM = RandomStream(3, "test")


@pytest.fixture(scope="module")
def warm():
    return warmed_up(World(tiny(), 3), STREAM)


def test_7_satiation_is_seen_and_its_absence_too():
    there = satiation(satiation_probe(World(tiny(), 0), STREAM))
    assert there["drop"] > 0.1
    assert there["recovery"] > 0.5
    none = changed(tiny(), dynamics={"satiation_per_watch": 0.0, "reinforcement": 0.0})
    curves = satiation_probe(World(none, 0), STREAM)
    assert curves["repeats"] == pytest.approx([curves["repeats"][0]] * len(curves["repeats"]))
    assert math.isnan(satiation(curves)["recovery"])


def test_7_the_probe_leaves_the_world_as_it_was():
    world = World(tiny(), 0)
    before = world.population.copy()
    satiation_probe(world, STREAM)
    assert (world.population.satiation == before.satiation).all()
    assert (world.population.affinity == before.affinity).all()


def test_9_without_drift_nothing_changes_and_more_drift_changes_more():
    stability = successor_stability(tiny(), 0)
    assert stability[0] == 1
    assert stability[0] > stability[2] > stability[-1]
    assert math.isnan(successor_stability(control_twin(tiny()), 0)[0])


def test_successors_do_not_depend_on_a_life_before_day_0():
    """Nobody is served, so a world in which users have such a life has the same successors on day 0 and later."""
    config = tiny()
    assert successor_stability(replace(config, prior=replace(config.prior, days=3)), 0) == successor_stability(
        config, 0
    )


def test_10_informed_exploration_without_dormant_interests_is_greedy():
    warm = warmed_up(World(control_twin(tiny()), 3), STREAM)
    greedy, informed = simulate_policy(warm, Greedy, 2, STREAM), simulate_policy(warm, Informed, 2, STREAM)
    assert greedy.log.digest() == informed.log.digest()


def test_10_informed_exploration_wakes_more_than_greedy(warm):
    def novel(policy):
        life = simulate_policy(warm, policy, 7, STREAM)
        return np.unique(life.log.user[life.log.positive] * 1000 + life.interest[life.log.item[life.log.positive]])

    assert len(novel(Informed)) > len(novel(Greedy))


def test_policies_leave_the_warm_world_alone_and_repeat_themselves(warm):
    one, two = simulate_policy(warm, Exploring, 2, STREAM), simulate_policy(warm, Exploring, 2, STREAM)
    assert one.log.digest() == two.log.digest()
    assert warm.world.day == 6
    assert one.log.day.min() == 7


def test_slates_are_distinct_alive_and_not_shown_lately(warm):
    for policy in (Random, Greedy, Exploring, Informed):
        life = simulate_policy(warm, policy, 3, STREAM)
        key = ((life.log.user * 100 + life.log.day) * 100 + life.log.step) * 10_000 + life.log.item
        assert len(np.unique(key)) == len(key), policy.name


def test_greedy_is_better_than_random_and_exploring_meets_more_clusters(warm):
    lives = {policy: simulate_policy(warm, policy, 7, STREAM) for policy in (Random, Greedy, Exploring)}
    assert lives[Greedy].log.positive.mean() > 1.5 * lives[Random].log.positive.mean()

    def met(life):
        return len(np.unique(life.log.user * 1000 + life.log.cluster)) / len(np.unique(life.log.user))

    assert met(lives[Exploring]) > met(lives[Greedy])


def test_the_explored_slots_are_the_agents_and_new_to_the_user(warm):
    life = simulate_policy(warm, Exploring, 2, STREAM)
    log, consumed = life.log, life.consumed_before.copy()
    request = np.cumsum((np.diff(log.user, prepend=-1) != 0) | (np.diff(log.step, prepend=-1) != 0))
    assert np.bincount(request[log.source == AGENT]).max() == EXPLORED_SLOTS
    assert set(log.source.tolist()) == {PRODUCTION, AGENT}
    num_new = 0
    for rows in np.split(np.arange(len(log)), np.flatnonzero(np.diff(request)) + 1):  # one request each
        for row in rows[log.source[rows] == AGENT]:
            known = consumed[log.user[row]]
            assert known.sum() >= len(known) - 1 or not known[log.cluster[row]]
            num_new += not known[log.cluster[row]]
        eaten = rows[log.consumed[rows]]
        consumed[log.user[eaten], log.cluster[eaten]] = True
    assert num_new > 100
    assert (simulate_policy(warm, Greedy, 2, STREAM).log.source == PRODUCTION).all()


def test_a_policy_that_continues_from_another_ranks_as_that_one(warm):
    greedy, exploring, fresh = (policy(warm.world, warm.records, STREAM) for policy in (Greedy, Exploring, Exploring))
    greedy.count(warm.log.user, warm.log.item, warm.log.positive)
    exploring.continue_from(greedy)
    users = np.arange(warm.world.config.num_users)
    for policy in (greedy, exploring, fresh):
        policy.begin_day(users)
    np.testing.assert_array_equal(exploring.best_rate, greedy.best_rate)
    np.testing.assert_array_equal(exploring.lift, greedy.lift)
    assert not np.allclose(exploring.best_rate, fresh.best_rate)


def test_the_best_items_come_first_and_no_group_too_often():
    group = np.array([0, 0, 0, 1, 1])
    lists = RankedLists.of(np.arange(5), group, 2, np.array([1, 3, 2, 5, 4], np.float32))
    assert lists.item.tolist() == [1, 2, 0, 3, 4]
    slates, filled = np.full((1, 4), -1), np.array([1])
    slates[0, 0] = 3
    fill_best(slates, filled, np.array([[0, 1]]), np.ones((1, 2), np.float32), lists, np.array([[1]]), 1)
    assert slates.tolist() == [[3, 4, 2, -1]]  # 1 is excluded, 3 is there, one of each group


def test_fill_next_skips_rows_without_a_group():
    lists = RankedLists.of(np.arange(2), np.array([0, 0]), 1, np.ones(2, np.float32))
    slates, filled = np.full((2, 2), -1), np.zeros(2, np.int64)
    fill_next(slates, filled, np.array([0, -1]), lists, np.array([[0], [0]]))
    assert slates.tolist() == [[1, -1], [-1, -1]]
    assert filled.tolist() == [1, 0]


def test_a_draw_among_the_unmarked():
    marked = np.array([[True, False, True, False], [True, True, True, True]])
    assert nth_unmarked(marked, np.array([0.1, 0.9])).tolist() == [1, 3]
    assert nth_unmarked(marked, np.array([0.9, 0.1])).tolist() == [3, 0]


def test_a_measured_world_has_every_part_of_every_fact():
    from experiments.certify.facts import FACTS

    actual = measure(replace(tiny(), num_users=60, num_items=300), 1, 14)
    assert set(actual["parts"]) >= {f"{fact.number} {part.name}" for fact in FACTS for part in fact.parts}
    assert 0 < actual["clusters"]["agreement"] <= 1


def test_11_personalisation_gains_nothing_where_users_share_all_interests():
    def gain(config):
        warm = warmed_up(World(config, 3), STREAM)
        rates = [simulate_policy(warm, policy, 7, STREAM).log.positive.mean() for policy in (Popular, Greedy)]
        return rates[1] / rates[0]

    alike = changed(tiny(), response={"interest_weight": 0.0, "taste_weight": 0.0, "quality_without_interest": 1.0})
    apart = changed(tiny(), response={"interest_weight": 5.0, "intercept": -2.2, "quality_without_interest": 0.1})
    assert gain(apart) > 1.15
    assert gain(alike) < 1.05
