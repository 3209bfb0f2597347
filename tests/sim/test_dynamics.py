from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from sim.hidden.dynamics import (
    DynamicsConstants,
    churn_probability,
    consume,
    drift_trends,
    overnight,
    remember_session,
    return_probability,
)
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE, find
from tests.sim.people import TINY, only_interest, people, show, slate_of

DYNAMICS = TINY.dynamics


def consume_items(population, times=1, positive=True, fraction=1.0, interest=0, dynamics=DYNAMICS):
    """Everybody consumes items of an interest; the last answer of ``consume``."""
    people, constants = population.arrays(), DynamicsConstants(*astuple(dynamics))
    woke = np.zeros(population.num_users, bool)
    for _ in range(times):
        for i in range(population.num_users):
            slot = find(population.interest, i, interest)
            woke[i] = consume(
                people, i, slot, interest, float(fraction), positive, constants, TINY.response.base_affinity
            )
    return woke


def test_two_positives_discover_a_dormant_interest_and_one_does_not():
    population = people(1, status=DORMANT)
    assert not consume_items(population).any()
    assert population.status[0, 0] == DORMANT
    consume_items(population, times=5, positive=False)
    assert population.status[0, 0] == DORMANT
    assert consume_items(population).all()
    assert population.status[0, 0] == DISCOVERED
    assert not consume_items(population).any()  # once only
    assert population.positives[0, 0] == 2  # counted while dormant


@pytest.mark.parametrize("needed", [1, 3])
def test_the_number_of_positives_to_discover_is_the_constant(needed):
    population = people(1, status=DORMANT)
    dynamics = replace(DYNAMICS, positives_to_discover=needed)
    consume_items(population, times=needed - 1, dynamics=dynamics)
    assert population.status[0, 0] == DORMANT
    assert consume_items(population, dynamics=dynamics).all()


def test_reinforcement_is_a_share_of_what_is_missing():
    population = people(1, affinity=0.6)
    dynamics = replace(DYNAMICS, reinforcement=0.25)
    consume_items(population, dynamics=dynamics)
    assert population.affinity[0, 0] == pytest.approx(0.7)  # 0.6 + 0.25 * 0.4
    consume_items(population, positive=False, dynamics=dynamics)
    assert population.affinity[0, 0] == pytest.approx(0.7)


@pytest.mark.parametrize(("fraction", "weight"), [(1.0, 1.0), (0.5, 0.5), (2.7, 1.0)])
def test_satiation_covers_a_share_of_the_way_to_full(fraction, weight):
    population = people(1)
    dynamics = replace(DYNAMICS, satiation_per_watch=0.2)
    consume_items(population, times=3, fraction=fraction, dynamics=dynamics)
    assert population.satiation[0, 0] == pytest.approx(1 - (1 - 0.2 * weight) ** 3)


def test_without_satiation_watch_time_never_falls():
    tireless = replace(DYNAMICS, satiation_per_watch=0.0, reinforcement=0.0)
    fresh, full, tired = people(500), people(500), people(500)
    consume_items(full, times=100, dynamics=tireless)
    consume_items(tired, times=100, dynamics=replace(DYNAMICS, reinforcement=0.0))
    slate = slate_of(np.zeros((500, 1), np.int32))
    response = only_interest(satiation_weight=2.0)
    seconds = [show(p, slate, response).watch_seconds for p in (fresh, full, tired)]
    np.testing.assert_array_equal(seconds[0], seconds[1])
    assert seconds[2].sum() < 0.9 * seconds[0].sum()


@pytest.mark.parametrize("half_life", [1, 3, 7])
def test_satiation_is_halved_after_its_half_life(half_life):
    population = people(2)
    population.satiation[:] = 0.8
    dynamics = replace(DYNAMICS, satiation_half_life_days=float(half_life), affinity_decay_per_day=0.0)
    for _ in range(half_life):
        overnight(population, dynamics)
    np.testing.assert_allclose(population.satiation, 0.4, rtol=1e-6)
    assert population.affinity[0, 0] == np.float32(0.8)


def test_affinities_fade_overnight():
    population = people(1, affinity=0.8)
    overnight(population, replace(DYNAMICS, affinity_decay_per_day=0.25))
    assert population.affinity[0, 0] == pytest.approx(0.6)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 3), st.booleans(), st.booleans()), max_size=60),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=50, deadline=None)
def test_affinity_and_satiation_stay_in_0_to_1_and_interests_stay_distinct(events, reinforcement, decay):
    population = people(1, slots=6, status=DORMANT, affinity=0.9)
    dynamics = replace(DYNAMICS, reinforcement=reinforcement, affinity_decay_per_day=decay, satiation_per_watch=1.0)
    for interest, fraction, positive, night in events:
        consume_items(population, interest=interest, fraction=fraction, positive=positive, dynamics=dynamics)
        if night:
            overnight(population, dynamics)
        for state in (population.affinity, population.satiation):
            assert state.min() >= 0
            assert state.max() <= 1
        kept = population.interest[0][population.status[0] != FREE]
        assert len(set(kept.tolist())) == len(kept)
        assert 0 in kept  # a loved interest never loses its slot


def test_a_new_interest_takes_a_free_slot_then_the_weakest_acquired_one_then_none():
    population = people(1, slots=3)
    consume_items(population, interest=5)
    consume_items(population, interest=6, positive=False)
    assert population.interest[0].tolist() == [0, 5, 6]
    assert population.status[0].tolist() == [DISCOVERED, ACQUIRED, ACQUIRED]
    assert population.affinity[0, 2] == np.float32(TINY.response.base_affinity)
    consume_items(population, interest=7)  # 6 was not positive, so it is the weakest
    assert population.interest[0].tolist() == [0, 5, 7]
    assert population.exposures[0].tolist() == [0, 1, 1]
    full = people(1, slots=1)
    consume_items(full, interest=7)
    assert full.interest[0].tolist() == [0]
    assert full.exposures[0].tolist() == [0]


def test_the_probability_of_return_is_the_formula():
    population = people(3)
    population.activity[:] = [0.0, 1.0, 1.0]
    population.satisfaction[1:] = [0.5, 0.5]
    population.norm[1:] = [0.5, 0.4]
    expected = expit([0.0, 1.0, 1.0 + DYNAMICS.return_slope * 0.1])
    np.testing.assert_allclose(return_probability(population, 0, DYNAMICS), expected, rtol=1e-6)


def test_nobody_comes_before_they_join_nor_after_they_left_for_good():
    population = people(3)
    population.joins[:] = [0, 5, 0]
    population.churned[2] = True
    assert (return_probability(population, 4, DYNAMICS) > 0).tolist() == [True, False, False]
    assert (return_probability(population, 5, DYNAMICS) > 0).tolist() == [True, True, False]


def test_the_probability_of_leaving_for_good_is_the_formula_and_0_switches_it_off():
    population = people(2)
    population.satisfaction[:], population.norm[:] = [0.5, 0.4], 0.5
    dynamics = replace(DYNAMICS, churn_per_visit=0.01, churn_slope=5.0)
    expected = [0.01, expit(logit(0.01) + 0.5)]
    np.testing.assert_allclose(churn_probability(population, dynamics), expected, rtol=1e-5)
    assert not churn_probability(population, replace(dynamics, churn_per_visit=0.0)).any()


def test_the_first_session_sets_the_norm_and_later_ones_move_mean_and_norm_by_their_half_lives():
    population = people(2)
    user = np.array([1])
    dynamics = replace(DYNAMICS, satisfaction_half_life_sessions=1.0, norm_half_life_sessions=2.0)
    remember_session(population, user, np.array([0.4]), dynamics)
    assert population.norm[1] == population.satisfaction[1] == np.float32(0.4)
    assert np.isnan(population.norm[0])
    for _ in range(2):
        remember_session(population, user, np.array([0.8]), dynamics)
    assert population.satisfaction[1] == pytest.approx(0.8 - 0.4 / 4)  # two half-lives
    assert population.norm[1] == pytest.approx(0.6)  # one


def test_trends_keep_their_standard_deviation_and_their_memory():
    dynamics = replace(DYNAMICS, trend_persistence=0.8, trend_sd=0.5)
    generator = np.random.default_rng(0)
    trend = 0.5 * generator.standard_normal(20_000)
    following = trend
    for _ in range(3):
        following = drift_trends(following, generator.standard_normal(20_000), dynamics)
    assert following.std() == pytest.approx(0.5, rel=0.03)
    assert np.corrcoef(trend, following)[0, 1] == pytest.approx(0.8**3, abs=0.03)
