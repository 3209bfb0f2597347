"""How users change: discovery, reinforcement, satiation, return; and how trends drift (hidden).

Novelty has no reward of its own. Exploration can pay only when it turns dormant interests into discovered
ones, or when it gives satiated interests time to recover.
"""

from collections import namedtuple
from dataclasses import fields
from typing import Any

import numpy as np
from scipy.special import expit, logit

from sim.arrays import FloatArray, IntArray
from sim.hidden.compiled import compiled, compiled_fast, compiled_into
from sim.hidden.config import DynamicsConfig
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE, Population

# What compiled code takes: the record of the same name, as a tuple of numbers.
DynamicsConstants = namedtuple("DynamicsConstants", [f.name for f in fields(DynamicsConfig)])  # type: ignore[misc]
_MAX_EXPOSURES = np.uint16(65535)


@compiled_into
def consume(
    people: Any, i: int, slot: int, interest: int, fraction: float, positive: bool, c: Any, base_affinity: float
) -> bool:
    """Update user i after an item that they consumed.

    With w = min(fraction, 1) and s, a, f the satiation, affinity and exposures of the interest:

        s <- s + satiation_per_watch * w * (1 - s)
        f <- f + 1
        a <- a + reinforcement * (1 - a)                 if positive   (the feedback loop)
        dormant -> discovered                            after ``positives_to_discover`` positives

    An interest that the user has no slot for takes a free slot, or else the weakest acquired one,
    with affinity ``base_affinity``; where there is neither it leaves no trace.

    Args:
        people: ``Population.arrays()``.
        i: the user.
        slot: where the user keeps the interest, -1 for nowhere.
        interest: the interest.
        fraction: watched fraction.
        positive: whether the feedback was positive.
        c: ``DynamicsConstants``.
        base_affinity: see ``ResponseConfig``.

    Returns:
        Whether the item turned a dormant interest into a discovered one.
    """
    if slot < 0:
        slot = _make_room(people, i, interest, base_affinity)
        if slot < 0:
            return False
    s, a = people.satiation[i, slot], people.affinity[i, slot]
    people.satiation[i, slot] = s + c.satiation_per_watch * min(fraction, 1.0) * (1.0 - s)
    people.exposures[i, slot] = min(people.exposures[i, slot] + 1, _MAX_EXPOSURES)
    if not positive:
        return False
    people.affinity[i, slot] = a + c.reinforcement * (1.0 - a)
    if people.status[i, slot] != DORMANT:
        return False
    people.positives[i, slot] += 1
    if people.positives[i, slot] < c.positives_to_discover:
        return False
    people.status[i, slot] = DISCOVERED
    return True


@compiled_fast
def _make_room(people: Any, i: int, interest: int, base_affinity: float) -> int:
    """Give user i a slot for an interest: the first free one, or the weakest acquired one; -1 if neither."""
    num_slots = people.status.shape[1]
    # Two passes without an early exit, so that many slots are compared at a time. No affinity is above 1.
    weakest: Any = np.float32(2.0)
    for slot in range(num_slots):
        weakest = min(weakest, _hold(people.status[i, slot], people.affinity[i, slot]))
    if weakest > 1.0:
        return -1
    chosen = num_slots
    for slot in range(num_slots):
        is_weakest = _hold(people.status[i, slot], people.affinity[i, slot]) == weakest
        chosen = min(chosen, slot if is_weakest else num_slots)
    people.interest[i, chosen] = interest
    people.affinity[i, chosen] = base_affinity
    people.status[i, chosen] = ACQUIRED
    people.exposures[i, chosen] = 0
    people.positives[i, chosen] = 0
    people.satiation[i, chosen] = 0.0
    return int(chosen)


@compiled
def _hold(status: int, affinity: Any) -> Any:
    """How firmly a slot is held: -1 if free, by its affinity if acquired, 2 if loved."""
    held = affinity if status == ACQUIRED else np.float32(2.0)
    return np.float32(-1.0) if status == FREE else held


def overnight(population: Population, dynamics: DynamicsConfig) -> None:
    """Apply a night's changes: satiation recovers with its half-life h in days, affinities fade.

    s <- s * 2**(-1 / h),   a <- a * (1 - affinity_decay_per_day)
    """
    population.satiation *= np.float32(2.0 ** (-1.0 / dynamics.satiation_half_life_days))
    population.affinity *= np.float32(1.0 - dynamics.affinity_decay_per_day)


def remember_session(
    population: Population, user: IntArray, satisfaction: FloatArray, dynamics: DynamicsConfig
) -> None:
    """Fold a session's satisfaction (B,) in [0, 1] into the running mean and the norm.

        x <- x + (1 - 2**(-1 / h)) * (satisfaction - x)

    with a short half-life h (in sessions) for the mean and a long one for the norm. The first
    session sets both.
    """
    first = np.isnan(population.norm[user])
    for name, half_life in (
        ("satisfaction", dynamics.satisfaction_half_life_sessions),
        ("norm", dynamics.norm_half_life_sessions),
    ):
        running = getattr(population, name)
        step = 1 - 2.0 ** (-1.0 / half_life)
        before = np.where(first, satisfaction, running[user])
        running[user] = (before + step * (satisfaction - before)).astype(np.float32)


def return_probability(population: Population, day: int, dynamics: DynamicsConfig) -> FloatArray:
    """(N,) probability that a user comes on ``day``.

        p = sigmoid(activity + return_slope * (satisfaction - norm))

    so boredom costs visits and good discoveries earn them. Before the first session the second
    term is 0. It is 0 for those who have not joined yet and those who have left for good.
    """
    p = expit(population.activity + dynamics.return_slope * _better(population))
    return np.where((population.joins <= day) & ~population.churned, p, 0.0)


def _better(population: Population) -> FloatArray:
    """(N,) how much better than usual the last sessions were; 0 before the first."""
    return np.asarray(np.nan_to_num(population.satisfaction - population.norm))


def churn_probability(population: Population, dynamics: DynamicsConfig) -> FloatArray:
    """(N,) probability that a user leaves for good after today's visit.

        p = sigmoid(logit(churn_per_visit) - churn_slope * (satisfaction - norm))

    ``churn_per_visit`` 0 keeps everybody.
    """
    return np.asarray(expit(logit(dynamics.churn_per_visit) - dynamics.churn_slope * _better(population)))


def drift_trends(trend: FloatArray, shock: FloatArray, dynamics: DynamicsConfig) -> FloatArray:
    """A day's drift of the interests' trends (M,), a stationary AR(1) process:

    trend <- phi * trend + sd * sqrt(1 - phi**2) * shock,   shock (M,) standard normal.
    """
    phi = dynamics.trend_persistence
    return np.asarray(phi * trend + dynamics.trend_sd * (1 - phi**2) ** 0.5 * shock)
