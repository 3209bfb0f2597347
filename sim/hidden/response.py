"""What a user does with a slate (hidden).

Users examine the slots in order and may leave after each. For item j of interest m:

    g = a * (kappa + (1 - kappa) * f' / (f' + 1)),  f' = log2(1 + exposures)   unless discovered
    g = a                                                                      if discovered
    u = b0 + ba g + be <taste_i, latent_j> / 4 + bq quality_j (rho + (1 - rho) g)
        + bn appetite_i 1[new] - bs s + bt trend_m - bf log(1 + n) + epsilon,    epsilon ~ N(0, noise_sd)

``1[new]`` marks the first encounter; n are the items that the user has examined today: the longer a session, the
less is liked. rho = ``quality_without_interest``: how well a thing is made counts for who cares for it.

Two regimes follow (skip or watch):

    P(watch) = sigmoid(u)
    watch:  log fraction ~ N(mu0 + mu1 u - mul log(length / 30 s), sd),  fraction at most 3
    skip:   seconds ~ Exponential(skip_seconds_mean), at most the length

A watched item is liked with probability sigmoid(l0 + l1 u), a skipped one disliked with
probability sigmoid(d0 - d1 u). *Positive* = (at least 18 s, or complete, or liked) and not
disliked. *Consumed* = more than 7 s, or complete, or liked. The thresholds are KuaiRand's
``long_view`` and ``valid_play`` (Gao et al. 2022).

After each item the user leaves with probability

    sigmoid(h0 + hb * boredom + hm * minutes / budget),   boredom <- r boredom + (1 - r) 1[skip].

A compiled loop goes through one user's slate after another. A user's responses depend on nothing
but their own state, slate and random draws, so that blocks of users can be simulated in parallel.
"""

import math
from collections import namedtuple
from dataclasses import fields
from typing import Any

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.hidden.compiled import compiled, compiled_fast, compiled_into
from sim.hidden.config import DynamicsConfig, ResponseConfig
from sim.hidden.dynamics import DynamicsConstants, consume
from sim.hidden.feedback import LONG_VIEW_SECONDS, VALID_PLAY_SECONDS, Feedback, SessionState
from sim.hidden.items import LATENT_SIZE
from sim.hidden.normal import normal_quantile
from sim.hidden.philox import fill_uniforms
from sim.hidden.population import DISCOVERED, DORMANT, Population, find
from sim.hidden.prefetch import prefetch_row
from sim.random import RandomStream

MAX_FRACTION = 3.0
DRAWS_PER_SLOT = 5
_QUALITY, _LENGTH, _LOG_LENGTH, _INTEREST = range(LATENT_SIZE, LATENT_SIZE + 4)  # columns of ``item_traits``
_BLOCK = 256  # users for whom uniforms are drawn at a time, so that the draws stay in the cache

# What compiled code takes: the records of the same names, as tuples of numbers or arrays.
ResponseConstants = namedtuple("ResponseConstants", [f.name for f in fields(ResponseConfig)])  # type: ignore[misc]
_Session = namedtuple("_Session", [f.name for f in fields(SessionState)])  # type: ignore[misc]
_Feedback = namedtuple("_Feedback", [f.name for f in fields(Feedback)])  # type: ignore[misc]


def item_traits(interest: IntArray, latent: FloatArray, quality: FloatArray, length: FloatArray) -> FloatArray:
    """The traits of n items that the response depends on, in one array: an item then takes two cache lines.

    Args:
        interest: (n,) int32.
        latent: (n, 16) float32.
        quality: (n,) float32, standardised.
        length: (n,) float32, seconds.

    Returns:
        (n, 20) float32: latent, quality, length, log(length / 30 s), interest.
    """
    traits = np.empty((len(interest), LATENT_SIZE + 4), np.float32)
    traits[:, :LATENT_SIZE] = latent
    traits[:, _QUALITY], traits[:, _LENGTH], traits[:, _INTEREST] = quality, length, interest
    traits[:, _LOG_LENGTH] = np.log(length / 30.0)
    return traits


@compiled_into
def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@compiled_into
def _chance(x: float) -> float:
    """sigmoid(x) in single precision, for probabilities that are only compared with uniform draws."""
    return float(1.0 / (1.0 + math.exp(np.float32(-x))))


@compiled_into
def interest_strength(affinity: float, exposures: float, discovered: bool, first_impression: float) -> float:
    """g of the module's docstring: how strongly an interest is felt."""
    if discovered:
        return affinity
    familiarity = math.log2(np.float32(1.0 + exposures))
    return affinity * (first_impression + (1.0 - first_impression) * familiarity / (familiarity + 1.0))


@compiled_fast
def _match(taste: FloatArray, i: int, traits: FloatArray, j: int) -> float:
    """<taste_i, latent_j> / 4: the standard deviation is 1, as sqrt(16) = 4."""
    total: Any = np.float32(0.0)
    for d in range(LATENT_SIZE):
        total += taste[i, d] * traits[j, d]
    return float(total / 4.0)


@compiled_into
def _watch(
    utility: float, p_watch: float, length: float, log_length: float, draws: FloatArray, b: int, s: int, c: Any
) -> tuple[float, bool, bool, bool]:
    """Watched fraction of an item, whether it was skipped, liked, disliked."""
    if draws[b, s, 1] < p_watch:
        log_fraction = c.watch_log_mean + c.watch_utility_slope * utility
        log_fraction -= c.watch_length_slope * log_length
        log_fraction += c.watch_log_sd * normal_quantile(draws[b, s, 2])
        fraction = min(math.exp(np.float32(log_fraction)), MAX_FRACTION)
        return fraction, False, draws[b, s, 3] < _chance(c.like_intercept + c.like_slope * utility), False
    fraction = min(-c.skip_seconds_mean * math.log(np.float32(draws[b, s, 2])) / length, 1.0)
    return fraction, True, False, draws[b, s, 3] < _chance(c.dislike_intercept - c.dislike_slope * utility)


@compiled_into
def _strength(people: Any, i: int, slot: int, c: Any) -> tuple[float, bool, float]:
    """g of user i for the interest in a slot (-1: none), whether it is new to them, and satiation."""
    if slot < 0:
        return interest_strength(c.base_affinity, 0.0, False, c.first_impression), True, 0.0
    exposures = float(people.exposures[i, slot])
    known = people.status[i, slot] == DISCOVERED
    g = interest_strength(people.affinity[i, slot], exposures, known, c.first_impression)
    return g, exposures == 0.0, people.satiation[i, slot]


@compiled_into
def _prefetch(people: Any, i: int, slates: IntArray, b: int, traits: FloatArray) -> None:
    """Have the state of user i and the items of slate b fetched while another user walks."""
    prefetch_row(people.interest, i)
    prefetch_row(people.affinity, i)
    prefetch_row(people.status, i)
    prefetch_row(people.exposures, i)
    prefetch_row(people.satiation, i)
    prefetch_row(people.taste, i)
    for s in range(slates.shape[1]):
        prefetch_row(traits, slates[b, s])


@compiled
def _walk(
    people: Any, session: Any, user: IntArray, slates: IntArray, start: int, stop: int, traits: FloatArray,
    trend: FloatArray, draws: FloatArray, c: Any, dynamics: Any, feedback: Any,
) -> None:  # fmt: skip
    """Let rows ``start`` to ``stop`` of users (B,) walk through their slates (B, S), one after another.

    ``draws`` is (stop - start, S, 5), their uniform draws.
    """
    num_slots = slates.shape[1]
    rho = c.quality_without_interest
    for b in range(start, stop):
        i = user[b]
        if b + 1 < stop:
            _prefetch(people, user[b + 1], slates, b + 1, traits)
        for s in range(num_slots):
            j = slates[b, s]
            interest, length = int(traits[j, _INTEREST]), traits[j, _LENGTH]
            row = b - start
            slot = find(people.interest, i, interest)
            g, new, satiation = _strength(people, i, slot, c)
            utility = (
                c.intercept
                + c.interest_weight * g
                + c.taste_weight * _match(people.taste, i, traits, j)
                + c.quality_weight * traits[j, _QUALITY] * (rho + (1.0 - rho) * g)
                + (c.novelty_weight * people.novelty_appetite[i] if new else 0.0)
                - c.satiation_weight * satiation
                + c.trend_weight * trend[interest]
                - c.fatigue_weight * math.log(np.float32(1.0 + session.num_examined[i]))
                + c.noise_sd * normal_quantile(draws[row, s, 0])
            )
            p_watch = _sigmoid(utility)
            fraction, skipped, liked, disliked = _watch(
                utility, p_watch, length, traits[j, _LOG_LENGTH], draws, row, s, c
            )
            seconds = fraction * length
            consumed = seconds > VALID_PLAY_SECONDS or fraction >= 1.0 or liked
            positive = (seconds >= LONG_VIEW_SECONDS or fraction >= 1.0 or liked) and not disliked
            feedback.dormant[b, s] = slot >= 0 and people.status[i, slot] == DORMANT
            if consumed:
                feedback.discovered[b, s] = consume(
                    people, i, slot, interest, fraction, positive, dynamics, c.base_affinity
                )
            feedback.examined[b, s], feedback.consumed[b, s], feedback.positive[b, s] = True, consumed, positive
            feedback.liked[b, s], feedback.disliked[b, s] = liked, disliked
            feedback.watch_fraction[b, s], feedback.watch_seconds[b, s] = fraction, seconds
            if _leaves(people, session, i, p_watch, skipped, seconds, draws[row, s, 4], c):
                feedback.left[b] = True
                break


@compiled_into
def _leaves(
    people: Any, session: Any, i: int, p_watch: float, skipped: bool, seconds: float, draw: float, c: Any
) -> bool:
    """Update user i's session after an item; return whether the user leaves now."""
    session.minutes[i] += np.float32(seconds / 60.0)
    session.boredom[i] = c.boredom_memory * session.boredom[i] + (1.0 - c.boredom_memory) * skipped
    session.enjoyment[i] += p_watch
    session.num_examined[i] += 1
    spent = session.minutes[i] / people.budget_minutes[i]
    hazard = _chance(c.leave_intercept + c.leave_boredom * session.boredom[i] + c.leave_minutes * spent)
    return bool(draw < hazard)


@compiled
def _walk_by_stream(
    people: Any, session: Any, user: IntArray, slates: IntArray, traits: FloatArray, trend: FloatArray, key: IntArray,
    draws: FloatArray, c: Any, dynamics: Any, feedback: Any,
) -> None:  # fmt: skip
    """``_walk`` with uniforms drawn from the stream of a key, block by block."""
    for start in range(0, len(user), len(draws)):
        stop = min(start + len(draws), len(user))
        fill_uniforms(key, user, start, stop, draws)
        _walk(people, session, user, slates, start, stop, traits, trend, draws, c, dynamics, feedback)


def respond(
    population: Population,
    session: SessionState,
    user: IntArray,
    slates: IntArray,
    traits: FloatArray,
    trend: FloatArray,
    randomness: RandomStream | FloatArray,
    response: ResponseConfig,
    dynamics: DynamicsConfig,
    feedback: Feedback | None = None,
) -> Feedback:
    """Let users (B,) go through their slates; changes ``population`` and ``session``.

    Args:
        population: all users.
        session: all users' day so far.
        user: (B,) int64, distinct.
        slates: (B, S) int64 item numbers.
        traits: (n, 20) float32, ``item_traits`` of all items.
        trend: (M,) float64, today's trend of each interest.
        randomness: the stream to draw from, or the (B, S, 5) uniforms themselves: utility noise, regime,
            duration, like or dislike, leaving.
        response, dynamics: constants.
        feedback: an empty one to write into; otherwise a new one.
    """
    feedback = feedback or Feedback.empty(*slates.shape)
    constants, changes = ResponseConstants(*vars(response).values()), DynamicsConstants(*vars(dynamics).values())
    today = _Session(**session.columns())
    output = _Feedback(**feedback.columns())
    people = population.arrays()
    num_slots = slates.shape[1]
    if isinstance(randomness, RandomStream):
        draws = np.empty((min(_BLOCK, max(len(user), 1)), num_slots, DRAWS_PER_SLOT))
        _walk_by_stream(people, today, user, slates, traits, trend, randomness.key, draws, constants, changes, output)
    else:
        _walk(people, today, user, slates, 0, len(user), traits, trend, randomness, constants, changes, output)
    return feedback
