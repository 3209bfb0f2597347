from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtr

from sim.hidden.feedback import SessionState
from sim.hidden.population import DISCOVERED, DORMANT
from sim.hidden.response import interest_strength
from tests.sim.people import TINY, only_interest, people, show, slate_of

NEVER_LEAVES = {"leave_intercept": -20.0, "leave_boredom": 0.0, "leave_minutes": 0.0}
# Every watch takes e times the length, every skip at most the length: the fraction tells which it was.
TELLING = {"watch_log_mean": 1.0, "watch_utility_slope": 0.0, "watch_length_slope": 0.0, "watch_log_sd": 0.0}


@pytest.mark.parametrize("affinity", [0.0, 0.3, 0.6, 1.0])
def test_the_watch_probability_is_the_sigmoid_of_the_utility(affinity):
    response = only_interest(**TELLING)
    num = 20_000
    feedback = show(people(num, affinity=affinity), slate_of(np.zeros((num, 1), np.int32)), response)
    expected = expit(response.intercept + response.interest_weight * affinity)
    watched = (feedback.watch_fraction > 1).mean()
    assert abs(watched - expected) < 4 * (expected * (1 - expected) / num) ** 0.5


def utility_of(population, slate, response, noise=0.5):
    """The exact utility of one item: a session's enjoyment is its sigmoid."""
    session, draws = SessionState.begin(1), np.full((1, 1, 5), 0.5)
    draws[0, 0, 0] = noise
    show(population, slate, response, draws, session)
    return logit(session.enjoyment[0])


NO_TERM = only_interest(intercept=0.3, interest_weight=0.0)
ONE = np.zeros((1, 1), np.int32)


def test_each_term_of_the_utility_is_the_documented_one():
    slate = slate_of(ONE)
    assert utility_of(people(1), slate, NO_TERM) == pytest.approx(0.3)
    assert utility_of(people(1), slate, replace(NO_TERM, interest_weight=2.0)) == pytest.approx(0.3 + 2 * 0.8)
    good = replace(slate, quality=np.full((1, 1), 1.5))
    for rho in (0.0, 0.25, 1.0):  # the more of it is felt without interest, the less counts that g = 0.8
        felt = replace(NO_TERM, quality_weight=0.4, quality_without_interest=rho)
        expected = 0.3 + 0.4 * 1.5 * (rho + (1 - rho) * 0.8)
        assert utility_of(people(1), good, felt) == pytest.approx(expected, rel=1e-6)
    trendy = replace(slate, trend=np.array([-2.0]))
    assert utility_of(people(1), trendy, replace(NO_TERM, trend_weight=0.5)) == pytest.approx(0.3 - 0.5 * 2)
    matched, person = replace(slate, latent=np.full((1, 1, 16), 0.5, np.float32)), people(1)
    person.taste[:] = np.arange(16) / 10
    expected = 0.3 + 2 * (0.5 * 12.0) / 4
    assert utility_of(person, matched, replace(NO_TERM, taste_weight=2.0)) == pytest.approx(expected, rel=1e-5)
    tired = people(1)
    tired.satiation[:, 0] = 0.5
    assert utility_of(tired, slate, replace(NO_TERM, satiation_weight=3.0)) == pytest.approx(0.3 - 3 * 0.5)
    noisy = replace(NO_TERM, noise_sd=0.7)
    assert utility_of(people(1), slate, noisy, noise=ndtr(1.2)) == pytest.approx(0.3 + 0.7 * 1.2)


def test_the_appetite_for_novelty_counts_at_the_first_encounter_only():
    person, response = people(1), replace(NO_TERM, novelty_weight=0.5)
    person.novelty_appetite[:] = -2.0
    assert utility_of(person, slate_of(ONE), response) == pytest.approx(0.3 - 0.5 * 2)
    assert utility_of(person, slate_of(ONE + 3), response) == pytest.approx(0.3 - 0.5 * 2)  # no slot for it yet
    person.exposures[:, 0] = 1
    assert utility_of(person, slate_of(ONE), response) == pytest.approx(0.3)


@pytest.mark.parametrize("utility", [-1.0, 2.0])
def test_likes_rise_and_dislikes_fall_with_the_utility(utility):
    num = 20_000
    response = only_interest(**TELLING, intercept=utility, interest_weight=0.0, like_intercept=-1.0, like_slope=0.5,
                             dislike_intercept=-1.0, dislike_slope=0.6)  # fmt: skip
    feedback = show(people(num), slate_of(np.zeros((num, 1), np.int32)), response)
    watched = feedback.watch_fraction[:, 0] > 1
    assert feedback.liked[watched, 0].mean() == pytest.approx(expit(-1 + 0.5 * utility), abs=0.03)
    assert feedback.disliked[~watched, 0].mean() == pytest.approx(expit(-1 - 0.6 * utility), abs=0.03)


def test_an_interest_without_a_slot_is_felt_at_the_base_affinity():
    response = only_interest(**TELLING, base_affinity=0.5, first_impression=1.0)
    num = 20_000
    feedback = show(people(num, affinity=1.0), slate_of(np.full((num, 1), 3)), response)
    expected = expit(response.intercept + response.interest_weight * 0.5)
    assert abs((feedback.watch_fraction > 1).mean() - expected) < 0.015


def test_the_watched_fraction_is_the_documented_power_of_the_length():
    response = only_interest(intercept=20.0, watch_log_sd=0.0)
    utility = 20.0 + response.interest_weight * 0.8
    feedback = show(people(2), slate_of(np.zeros((2, 1), np.int32), length=120.0), response)
    log_fraction = (
        response.watch_log_mean + response.watch_utility_slope * utility - response.watch_length_slope * np.log(4)
    )
    np.testing.assert_allclose(feedback.watch_fraction, min(np.exp(log_fraction), 3.0), rtol=1e-6)
    np.testing.assert_allclose(feedback.watch_seconds, feedback.watch_fraction * 120, rtol=1e-6)


def test_unfamiliar_is_felt_at_a_share_that_grows_with_exposures():
    response = replace(TINY.response, first_impression=0.5)

    def at(exposures, known):
        return interest_strength(0.8, exposures, known, response.first_impression)

    assert at(0.0, False) == pytest.approx(0.4)  # kappa a
    assert at(1.0, False) == pytest.approx(0.8 * 0.75)  # f' = 1
    assert at(7.0, False) == pytest.approx(0.8 * (0.5 + 0.5 * 3 / 4))  # f' = 3
    assert at(0.0, True) == pytest.approx(0.8)


def one_draw(**changes):
    """Draws of one slot: utility noise, regime, duration, like or dislike, leaving."""
    place = {"noise": 0, "regime": 1, "duration": 2, "like": 3, "leave": 4}
    draws = np.full((1, 1, 5), 0.5)
    for name, value in changes.items():
        draws[0, 0, place[name]] = value
    return draws


@pytest.mark.parametrize(
    ("length", "fraction", "consumed", "positive"),
    [
        (100.0, 0.06, False, False),  # 6 s
        (100.0, 0.08, True, False),  # 8 s: a valid play
        (100.0, 0.17, True, False),  # 17 s
        (100.0, 0.19, True, True),  # 19 s: a long view
        (5.0, 0.99, False, False),  # short, and not complete
        (5.0, 1.01, True, True),  # complete
    ],
)
def test_consumed_and_positive_follow_the_thresholds(length, fraction, consumed, positive):
    response = only_interest(**{**TELLING, "watch_log_mean": float(np.log(fraction))}, like_intercept=-20.0)
    draws = one_draw(regime=1e-9, like=0.999)
    feedback = show(people(1), slate_of(np.zeros((1, 1), np.int32), length), response, draws)
    assert feedback.consumed[0, 0] == consumed
    assert feedback.positive[0, 0] == positive
    assert not feedback.liked[0, 0]


def test_a_like_alone_is_positive_and_a_dislike_never_is():
    slate = slate_of(np.zeros((1, 1), np.int32), 100.0)
    short = only_interest(**{**TELLING, "watch_log_mean": -4.0})  # watches of 2 s
    liked = show(people(1), slate, short, one_draw(regime=1e-9, like=1e-9))
    assert liked.liked[0, 0]
    assert liked.positive[0, 0]
    assert liked.consumed[0, 0]
    # A skip of more than 18 s, disliked.
    long_skip = only_interest(skip_seconds_mean=60.0)
    disliked = show(people(1), slate, long_skip, one_draw(regime=1 - 1e-9, duration=0.5, like=1e-9))
    assert disliked.disliked[0, 0]
    assert disliked.watch_seconds[0, 0] == pytest.approx(60 * np.log(2), rel=1e-6)
    assert not disliked.positive[0, 0]
    assert not disliked.liked[0, 0]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_feedback_is_consistent_for_any_draws(seed):
    generator = np.random.default_rng(seed)
    num, slots = 30, 6
    interest = generator.integers(0, 5, (num, slots)).astype(np.int32)
    population = people(num, affinity=float(generator.random()), status=int(generator.choice([DISCOVERED, DORMANT])))
    feedback = show(population, slate_of(interest), TINY.response, generator.random((num, slots, 5)))
    assert feedback.examined[:, 0].all()
    # Once a slot is not examined, none after it is.
    assert (np.diff(feedback.examined.astype(int), axis=1) <= 0).all()
    for name in ("consumed", "positive", "liked", "disliked"):
        assert not (getattr(feedback, name) & ~feedback.examined).any()
    assert not feedback.watch_seconds[~feedback.examined].any()
    assert not (feedback.positive & ~feedback.consumed).any()
    assert not (feedback.liked & feedback.disliked).any()
    assert feedback.watch_fraction.max() <= 3
    assert feedback.left[~feedback.examined[:, -1]].all()
    assert not (feedback.discovered & ~(feedback.dormant & feedback.positive)).any()


def test_leaving_has_the_probability_documented():
    response = only_interest(intercept=-20.0, interest_weight=0.0, leave_intercept=-1.0, leave_boredom=2.0,
                             leave_minutes=0.0, boredom_memory=0.8)  # fmt: skip
    num = 20_000
    feedback = show(people(num), slate_of(np.zeros((num, 2), np.int32)), response)
    # Everything is skipped: boredom 0.5 -> 0.8 * 0.5 + 0.2 = 0.6 after the first item.
    expected = expit(-1.0 + 2.0 * 0.6)
    assert abs((~feedback.examined[:, 1]).mean() - expected) < 0.015


def test_the_longer_a_session_the_less_is_liked():
    response = only_interest(intercept=1.0, interest_weight=0.0, fatigue_weight=0.8, leave_intercept=-20.0,
                             leave_boredom=0.0, leave_minutes=0.0, watch_log_sd=0.0, watch_utility_slope=0.0,
                             watch_log_mean=0.0, skip_seconds_mean=0.1)  # fmt: skip
    num, session = 40_000, SessionState.begin(40_000)
    for request in range(2):  # what was examined in earlier requests of the day counts
        feedback = show(people(num), slate_of(np.zeros((num, 3), np.int32)), response, session=session)
        expected = expit(1.0 - 0.8 * np.log(1 + 3 * request + np.arange(3)))
        np.testing.assert_allclose(feedback.consumed.mean(axis=0), expected, atol=0.012)


def test_users_leave_more_often_as_their_minutes_run_out():
    response = only_interest(**{**TELLING, "watch_log_mean": 0.0}, intercept=20.0, leave_intercept=-20.0,
                             leave_boredom=0.0, leave_minutes=20.0)  # fmt: skip
    population = people(4000)  # 10 minutes a day
    feedback = show(population, slate_of(np.zeros((4000, 5), np.int32), length=300.0), response)
    still = feedback.examined.mean(axis=0)  # 5 minutes an item
    leave = expit(-20 + 20 * np.array([0.5, 1.0, 1.5]))
    np.testing.assert_allclose(still[1:4], np.cumprod(1 - leave), atol=0.03)


def test_the_truth_marks_items_whose_interest_was_dormant_when_shown():
    response = only_interest(**NEVER_LEAVES)
    population = people(50, status=DORMANT)
    feedback = show(population, slate_of(np.tile([0, 1], (50, 1)).astype(np.int32)), response)
    assert feedback.dormant[:, 0].all()
    assert not feedback.dormant[:, 1].any()


def test_two_positives_within_a_slate_discover_and_the_third_item_meets_a_known_interest():
    response = only_interest(**{**TELLING, **NEVER_LEAVES}, intercept=20.0)
    feedback = show(people(3, status=DORMANT), slate_of(np.zeros((3, 3), np.int32)), response)
    assert feedback.positive.all()
    np.testing.assert_array_equal(feedback.discovered, np.tile([False, True, False], (3, 1)))
    np.testing.assert_array_equal(feedback.dormant, np.tile([True, True, False], (3, 1)))
