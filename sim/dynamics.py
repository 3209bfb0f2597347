"""How users change: discovery, reinforcement, satiation, return; and how trends drift (hidden).

Novelty is never rewarded as such. Exploration can pay only by waking dormant interests that the
user turns out to love, or by giving tired interests time to recover.
"""

import numpy as np
from scipy.special import expit

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.config import DynamicsConfig, ResponseConfig
from sim.population import ACQUIRED, DISCOVERED, DORMANT, FREE, Population


def consume(
    population: Population,
    user: IntArray,
    interest: IntArray,
    fraction: FloatArray,
    positive: BoolArray,
    dynamics: DynamicsConfig,
    response: ResponseConfig,
) -> BoolArray:
    """Let users (C,) be changed by the items that they have just consumed, one each.

    With w = min(fraction, 1) and s, a, f the satiation, affinity and exposures of the interest:

        s <- s + satiation_per_watch * w * (1 - s)
        f <- f + 1
        a <- a + reinforcement * (1 - a)                 if positive   (the feedback loop)
        dormant -> discovered                            after ``positives_to_discover`` positives

    An interest that the user has no slot for takes a free slot, or else the weakest acquired one,
    with affinity ``base_affinity``; where there is neither it leaves no trace.

    Args:
        user: (C,) int64, distinct.
        interest: (C,) int32.
        fraction: (C,) float, watched fraction.
        positive: (C,) bool.

    Returns:
        (C,) bool: whether the item turned a dormant interest into a discovered one.
    """
    slot, kept = population.find(user, interest)
    if not kept.all():
        new_slot, found = _make_room(population, user[~kept], interest[~kept], response.base_affinity)
        slot[~kept] = new_slot
        kept[~kept] = found
    discovered = np.zeros(len(user), bool)
    u, k, w, liked = user[kept], slot[kept], np.minimum(fraction[kept], 1.0), positive[kept]
    satiation = population.satiation[u, k]
    population.satiation[u, k] = satiation + dynamics.satiation_per_watch * w * (1 - satiation)
    population.exposures[u, k] += 1
    affinity = population.affinity[u, k]
    population.affinity[u, k] = np.where(liked, affinity + dynamics.reinforcement * (1 - affinity), affinity)
    dormant = population.status[u, k] == DORMANT
    population.positives[u, k] += dormant & liked
    wakes = dormant & (population.positives[u, k] >= dynamics.positives_to_discover)
    population.status[u[wakes], k[wakes]] = DISCOVERED
    discovered[kept] = wakes
    return discovered


def _make_room(
    population: Population, user: IntArray, interest: IntArray, base_affinity: float
) -> tuple[IntArray, BoolArray]:
    """Give users (C,) a slot for an interest each; slots (C,) and whether there was room (C,)."""
    status = population.status[user]  # (C, K)
    # Free slots first (negative keys), then acquired ones by how little they mean to the user.
    key = np.where(status == FREE, -1.0, np.where(status == ACQUIRED, population.affinity[user], np.inf))
    slot = key.argmin(axis=1)
    room = np.isfinite(key[np.arange(len(user)), slot])
    u, k = user[room], slot[room]
    population.interest[u, k] = interest[room]
    population.affinity[u, k] = base_affinity
    population.status[u, k] = ACQUIRED
    population.exposures[u, k] = 0
    population.positives[u, k] = 0
    population.satiation[u, k] = 0
    return slot, np.asarray(room)


def overnight(population: Population, dynamics: DynamicsConfig) -> None:
    """A night passes: satiation recovers with its half-life h in days, affinities fade.

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


def return_probability(population: Population, dynamics: DynamicsConfig) -> FloatArray:
    """(N,) probability that a user comes back today.

        p = sigmoid(activity + return_slope * (satisfaction - norm))

    so boredom costs visits and good discoveries earn them. Before the first session the second
    term is 0.
    """
    better = np.nan_to_num(population.satisfaction - population.norm)
    return np.asarray(expit(population.activity + dynamics.return_slope * better))


def drift_trends(trend: FloatArray, shock: FloatArray, dynamics: DynamicsConfig) -> FloatArray:
    """A day's drift of the interests' trends (M,), a stationary AR(1) process:

    trend <- phi * trend + sd * sqrt(1 - phi**2) * shock,   shock (M,) standard normal.
    """
    phi = dynamics.trend_persistence
    return np.asarray(phi * trend + dynamics.trend_sd * (1 - phi**2) ** 0.5 * shock)
