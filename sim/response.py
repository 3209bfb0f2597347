"""What a user does with a slate (hidden).

Users examine the slots in order and may leave after each. For item j of interest m:

    g = a * (kappa + (1 - kappa) * f' / (f' + 1)),  f' = log2(1 + exposures)   unless discovered
    g = a                                                                      if discovered
    u = b0 + ba g + be <taste_i, latent_j> / 4 + bq quality_j + bn appetite_i 1[new] - bs s
        + bt trend_m + epsilon,                      epsilon ~ N(0, noise_sd)

``1[new]`` marks the first encounter. Two regimes follow (skip or watch):

    P(watch) = sigmoid(u)
    watch:  log fraction ~ N(mu0 + mu1 u - mul log(length / 30 s), sd),  fraction at most 3
    skip:   seconds ~ Exponential(skip_seconds_mean), at most the length

A watched item is liked with probability sigmoid(l0 + l1 u), a skipped one disliked with
probability sigmoid(d0 - d1 u). *Positive* = (at least 18 s, or complete, or liked) and not
disliked. *Consumed* = more than 7 s, or complete, or liked. The thresholds are KuaiRand's
``long_view`` and ``valid_play`` (Gao et al. 2022).

After each item the user leaves with probability

    sigmoid(h0 + hb * boredom + hm * minutes / budget),   boredom <- r boredom + (1 - r) 1[skip].
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import expit, ndtri

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.config import DynamicsConfig, ResponseConfig
from sim.dynamics import consume
from sim.population import DISCOVERED, DORMANT, Population

LONG_VIEW_SECONDS = 18.0
VALID_PLAY_SECONDS = 7.0
MAX_FRACTION = 3.0
DRAWS_PER_SLOT = 5


@dataclass(frozen=True)
class Feedback:
    """What B users did with slates of S items. Rows after the user left are all False or 0.

    Attributes:
        examined, consumed, positive, liked, disliked: (B, S) bool.
        watch_seconds, watch_fraction: (B, S) float32.
        left: (B,) bool, whether the user left the platform for today.
        dormant: (B, S) bool, hidden truth: the item's interest was dormant when it was shown.
        discovered: (B, S) bool, hidden truth: this item turned it into a discovered one.
    """

    examined: BoolArray
    consumed: BoolArray
    positive: BoolArray
    liked: BoolArray
    disliked: BoolArray
    watch_seconds: FloatArray
    watch_fraction: FloatArray
    left: BoolArray
    dormant: BoolArray
    discovered: BoolArray

    @staticmethod
    def empty(num_users: int, num_slots: int) -> "Feedback":
        """Nothing examined yet."""
        shape = (num_users, num_slots)
        arrays = {f.name: np.zeros(shape, bool) for f in fields(Feedback)}
        arrays |= {name: np.zeros(shape, np.float32) for name in ("watch_seconds", "watch_fraction")}
        return Feedback(**{**arrays, "left": np.zeros(num_users, bool)})

    @staticmethod
    def concatenate(parts: "list[Feedback]") -> "Feedback":
        """Feedback of several groups of users, one after the other."""
        return Feedback(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Feedback)})


@dataclass
class SessionState:
    """How today's session goes, for all N users.

    Attributes:
        minutes: (N,) float32 spent today.
        boredom: (N,) float32 in [0, 1].
        enjoyment: (N,) float64, sum of sigmoid(u) over examined items.
        num_examined: (N,) int64.
    """

    minutes: FloatArray
    boredom: FloatArray
    enjoyment: FloatArray
    num_examined: IntArray

    @staticmethod
    def begin(num_users: int) -> "SessionState":
        """A fresh day."""
        return SessionState(
            minutes=np.zeros(num_users, np.float32),
            boredom=np.full(num_users, 0.5, np.float32),
            enjoyment=np.zeros(num_users),
            num_examined=np.zeros(num_users, np.int64),
        )


def interest_strength(
    affinity: FloatArray, exposures: FloatArray, discovered: BoolArray, config: ResponseConfig
) -> FloatArray:
    """g of the module's docstring: how strongly an interest is felt; any shape."""
    familiarity = np.log2(1 + exposures)
    kappa = config.first_impression
    felt = affinity * (kappa + (1 - kappa) * familiarity / (familiarity + 1))
    return np.where(discovered, affinity, felt)


@dataclass(frozen=True)
class SlateTruth:
    """Hidden truth of the items on B slates of S slots.

    Attributes:
        interest: (B, S) int32.
        latent: (B, S, 16) float32.
        quality, length, trend: (B, S) float; length in seconds, trend of the item's interest.
    """

    interest: IntArray
    latent: FloatArray
    quality: FloatArray
    length: FloatArray
    trend: FloatArray


def respond(
    population: Population,
    session: SessionState,
    user: IntArray,
    slate: SlateTruth,
    draws: FloatArray,
    response: ResponseConfig,
    dynamics: DynamicsConfig,
) -> Feedback:
    """Let users (B,) go through their slates; changes ``population`` and ``session``.

    Args:
        user: (B,) int64, distinct.
        draws: (B, S * 5) uniforms: utility noise, regime, duration, like or dislike, leaving.
    """
    num_slots = slate.interest.shape[1]
    feedback = Feedback.empty(len(user), num_slots)
    here = np.arange(len(user))  # rows of users who are still looking
    for slot in range(num_slots):
        if not len(here):
            break
        u01 = draws[here, slot * DRAWS_PER_SLOT : (slot + 1) * DRAWS_PER_SLOT]  # (here, 5)
        utility = _utility(population, user[here], slate, here, slot, u01[:, 0], response, feedback)
        skipped = _watch(utility, slate.length[here, slot], u01, response, feedback, here, slot)
        _become(population, user, slate.interest, feedback, here, slot, dynamics, response)
        leaves = _session(population, session, user[here], utility, skipped, u01[:, 4], response, feedback, here, slot)
        feedback.left[here[leaves]] = True
        here = here[~leaves]
    return feedback


def _utility(
    population: Population,
    user: IntArray,
    slate: SlateTruth,
    here: IntArray,
    slot: int,
    noise: FloatArray,
    config: ResponseConfig,
    feedback: Feedback,
) -> FloatArray:
    """(here,) utility of the item in this slot, in logits of watching."""
    where, kept = population.find(user, slate.interest[here, slot])
    status = np.where(kept, population.status[user, where], 0)
    affinity = np.where(kept, population.affinity[user, where], config.base_affinity)
    exposures = np.where(kept, population.exposures[user, where], 0.0)
    satiation = np.where(kept, population.satiation[user, where], 0.0)
    feedback.dormant[here, slot] = status == DORMANT
    strength = interest_strength(affinity, exposures, status == DISCOVERED, config)
    match = (population.taste[user] * slate.latent[here, slot]).sum(axis=1) / 4.0  # sd 1: sqrt(16) = 4
    return np.asarray(
        config.intercept
        + config.interest_weight * strength
        + config.taste_weight * match
        + config.quality_weight * slate.quality[here, slot]
        + config.novelty_weight * population.novelty_appetite[user] * (exposures == 0)
        - config.satiation_weight * satiation
        + config.trend_weight * slate.trend[here, slot]
        + config.noise_sd * ndtri(noise)
    )


def _watch(
    utility: FloatArray,
    length: FloatArray,
    u01: FloatArray,
    config: ResponseConfig,
    feedback: Feedback,
    here: IntArray,
    slot: int,
) -> BoolArray:
    """Fill in watching, liking and their consequences; (here,) bool whether it was skipped."""
    watched = u01[:, 1] < expit(utility)
    log_fraction = (
        config.watch_log_mean
        + config.watch_utility_slope * utility
        - config.watch_length_slope * np.log(length / 30.0)
        + config.watch_log_sd * ndtri(u01[:, 2])
    )
    whole = np.minimum(np.exp(log_fraction), MAX_FRACTION)
    glance = np.minimum(-config.skip_seconds_mean * np.log(u01[:, 2]) / length, 1.0)
    fraction = np.where(watched, whole, glance)
    seconds = fraction * length
    liked = watched & (u01[:, 3] < expit(config.like_intercept + config.like_slope * utility))
    disliked = ~watched & (u01[:, 3] < expit(config.dislike_intercept - config.dislike_slope * utility))
    complete = fraction >= 1.0
    feedback.examined[here, slot] = True
    feedback.watch_fraction[here, slot] = fraction
    feedback.watch_seconds[here, slot] = seconds
    feedback.liked[here, slot] = liked
    feedback.disliked[here, slot] = disliked
    feedback.consumed[here, slot] = (seconds > VALID_PLAY_SECONDS) | complete | liked
    feedback.positive[here, slot] = ((seconds >= LONG_VIEW_SECONDS) | complete | liked) & ~disliked
    return np.asarray(~watched)


def _become(
    population: Population,
    user: IntArray,
    interest: IntArray,
    feedback: Feedback,
    here: IntArray,
    slot: int,
    dynamics: DynamicsConfig,
    response: ResponseConfig,
) -> None:
    """Let what was consumed in this slot change the users."""
    row = here[feedback.consumed[here, slot]]
    feedback.discovered[row, slot] = consume(
        population,
        user[row],
        interest[row, slot],
        feedback.watch_fraction[row, slot],
        feedback.positive[row, slot],
        dynamics,
        response,
    )


def _session(
    population: Population,
    session: SessionState,
    user: IntArray,
    utility: FloatArray,
    skipped: BoolArray,
    luck: FloatArray,
    config: ResponseConfig,
    feedback: Feedback,
    here: IntArray,
    slot: int,
) -> BoolArray:
    """Move the session on; (here,) bool whether the user leaves now."""
    session.minutes[user] += feedback.watch_seconds[here, slot] / np.float32(60.0)
    boredom = config.boredom_memory * session.boredom[user] + (1 - config.boredom_memory) * skipped
    session.boredom[user] = boredom
    session.enjoyment[user] += expit(utility)
    session.num_examined[user] += 1
    spent = session.minutes[user] / population.budget_minutes[user]
    hazard = expit(config.leave_intercept + config.leave_boredom * boredom + config.leave_minutes * spent)
    return np.asarray(luck < hazard)
