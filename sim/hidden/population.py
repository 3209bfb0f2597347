"""Population: the latent state of every user (hidden), as arrays over N users.

Interests are sparse: user i keeps K *interest slots*, each an interest id with its affinity,
exposures, satiation and status, never a dense row over all M interests.
"""

from collections import namedtuple
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sim.arrays import BoolArray, Columns, FloatArray, IntArray
from sim.hidden.compiled import compiled, compiled_with_arrays
from sim.hidden.config import PopulationConfig
from sim.hidden.items import LATENT_SIZE
from sim.hidden.tree import InterestTree, PersonaLinks
from sim.random import RandomStream

FREE, DORMANT, DISCOVERED, ACQUIRED = 0, 1, 2, 3
"""Status of an interest slot: unused; loved but unknown to the user; loved and known; not loved
at first, picked up on the way."""

LOVED = (DORMANT, DISCOVERED)
"""Statuses of what a user loves, known to them or not."""

PERSONA_STRENGTH = (1.0, 0.8, 0.65)
"""How strongly a user's first, second and third persona are felt."""

_FAMILIAR_EXPOSURES = 8  # of the interests that a user knows on day 0
_CHUNK = 8192  # users generated at a time, so that users x personas stays small


@dataclass
class Population(Columns):
    """N users. Fixed traits first, then what changes.

    Attributes:
        persona: (N, 3) int16, the personas that a user is a mixture of, strongest first, -1 pads.
        taste: (N, 16) float32, fine taste.
        activity: (N,) float32, logit of the daily probability of returning when satisfied as usual.
        budget_minutes: (N,) float32, minutes a day.
        novelty_appetite: (N,) float32, standardised times ``novelty_appetite_sd``.
        joins: (N,) int32, the first day on which the user may come.
        interest: (N, K) int16 interest of each slot, -1 where free.
        affinity: (N, K) float32 in [0, 1].
        status: (N, K) int8, ``FREE`` .. ``ACQUIRED``.
        exposures: (N, K) uint16, items consumed so far.
        positives: (N, K) uint8, positives so far while dormant.
        satiation: (N, K) float32 in [0, 1].
        satisfaction: (N,) float32, running mean of session satisfaction in [0, 1].
        norm: (N,) float32, what the user is used to; NaN before the first session.
        churned: (N,) bool, whether the user has left for good.
    """

    persona: IntArray
    taste: FloatArray
    activity: FloatArray
    budget_minutes: FloatArray
    novelty_appetite: FloatArray
    joins: IntArray
    interest: IntArray
    affinity: FloatArray
    status: IntArray
    exposures: IntArray
    positives: IntArray
    satiation: FloatArray
    satisfaction: FloatArray
    norm: FloatArray
    churned: BoolArray

    @property
    def num_users(self) -> int:
        """Number of users, N."""
        return len(self.activity)

    def arrays(self) -> Any:
        """The arrays as a tuple with the same names, which compiled code takes."""
        return _Arrays(**self.columns())

    @property
    def num_bytes(self) -> int:
        """Memory that the users take, in bytes."""
        return sum(column.nbytes for column in self.columns().values())

    def find(self, user: IntArray, interest: IntArray) -> tuple[IntArray, BoolArray]:
        """The slots (B,) int64 of interests (B,) of users (B,), and whether the user has the interest (B,) bool."""
        same = self.interest[user] == interest[:, None]  # (B, K)
        slot = same.argmax(axis=1)
        return slot, np.asarray(same[np.arange(len(user)), slot])


_Arrays = namedtuple("_Arrays", [f.name for f in fields(Population)])  # type: ignore[misc]


@compiled
def find(interests: IntArray, i: int, interest: int) -> int:
    """The slot of an interest among the (N, K) slots of user i; -1 if the user does not have it."""
    position = -1
    for slot in range(interests.shape[1]):  # no early exit: many slots are then compared at a time
        position = slot if interests[i, slot] == interest else position
    return position


def felt_affinity(rank: IntArray, strength: FloatArray, draws: FloatArray) -> FloatArray:
    """a = strength_p * link[p, m] * xi, xi = 0.75 + 0.4 draws, at most 1; any shape.

    Args:
        rank: whether it is the user's first (0), second or third persona.
        strength: link[p, m].
        draws: uniform in (0, 1).
    """
    return np.minimum(np.array(PERSONA_STRENGTH)[rank] * strength * (0.75 + 0.4 * draws), 1.0)


def generate_population(
    config: PopulationConfig, num_users: int, tree: InterestTree, stream: RandomStream
) -> Population:
    """Draw N users.

    A user is a mixture of one (30 %), two (45 %) or three (25 %) personas of falling strength. They
    share each interest of a persona with probability ``adoption``; the affinity is the strongest of
    ``felt_affinity`` over their personas. A few *idiosyncratic* interests, which no persona
    explains, come with affinity U(0.4, 0.9). Interests below ``love_threshold`` are dropped. Of the
    loved interests a share ``discovered_share`` (at least two) is known on day 0; the others are
    dormant. A share ``late_share`` of the users joins on a day from 1 to ``joining_days``.
    """
    parts = [
        _generate_chunk(config, np.arange(start, min(start + _CHUNK, num_users)), tree, stream.at("population"))
        for start in range(0, num_users, _CHUNK)
    ]
    return Population.concatenate(parts)


def _generate_chunk(config: PopulationConfig, user: IntArray, tree: InterestTree, stream: RandomStream) -> Population:
    n, slots = len(user), config.interest_slots
    persona = _personas(user, tree, stream)
    place, felt = _loves(config, user, persona, tree, stream)
    most = min(slots - 8 if slots > 16 else slots // 2, tree.num_interests)
    interest, affinity = np.full((n, slots), -1, np.int16), np.zeros((n, slots), np.float32)
    _strongest(place, felt, most, interest, affinity)
    is_loved = interest[:, :most] >= 0
    key = np.where(is_loved, stream.at("discovered").uniform(user, most), 2.0)
    known = np.maximum(2, np.rint(config.discovered_share * is_loved.sum(axis=1)))
    is_known = key.argsort(axis=1).argsort(axis=1) < known[:, None]
    status = np.zeros((n, slots), np.int8)
    status[:, :most] = np.where(is_loved, np.where(is_known, DISCOVERED, DORMANT), FREE)

    z = stream.at("traits").normal(user, 3 + LATENT_SIZE).astype(np.float32)  # (n, 19)
    correlation = config.budget_activity_correlation
    log_budget = correlation * z[:, 0] + (1 - correlation**2) ** 0.5 * z[:, 1]
    budget = config.budget_minutes_median * np.exp(config.budget_minutes_sigma * log_budget)
    late = stream.at("joins").uniform(user, 2)
    joins = np.where(late[:, 0] < config.late_share, 1 + (late[:, 1] * config.joining_days).astype(np.int32), 0)
    return Population(
        persona=persona,
        taste=z[:, 3:],
        activity=(config.activity_mean + config.activity_sd * z[:, 0]).astype(np.float32),
        budget_minutes=budget.astype(np.float32),
        novelty_appetite=(config.novelty_appetite_sd * z[:, 2]).astype(np.float32),
        joins=joins.astype(np.int32),
        interest=interest,
        affinity=affinity,
        status=status,
        exposures=np.where(status == DISCOVERED, _FAMILIAR_EXPOSURES, 0).astype(np.uint16),
        positives=np.zeros((n, slots), np.uint8),
        satiation=np.zeros((n, slots), np.float32),
        satisfaction=np.full(n, np.nan, np.float32),
        norm=np.full(n, np.nan, np.float32),
        churned=np.zeros(n, bool),
    )


def _personas(user: IntArray, tree: InterestTree, stream: RandomStream) -> IntArray:
    """(n, 3) int16: each user's personas, strongest first, -1 pads."""
    # Weighted draw without replacement by the Gumbel trick.
    score = np.log(tree.persona_weight) + stream.at("persona").gumbel(user, len(tree.personas))  # (n, P)
    chosen = np.full((len(user), 3), -1, np.int16)
    most = min(3, len(tree.personas))
    chosen[:, :most] = np.argsort(-score, axis=1)[:, :most]
    how_many = np.searchsorted([0.3, 0.75], stream.at("mixture").uniform(user, 1)[:, 0]) + 1  # 1..3
    return np.where(np.arange(3) < how_many[:, None], chosen, np.int16(-1))


def _loves(
    config: PopulationConfig, user: IntArray, persona: IntArray, tree: InterestTree, stream: RandomStream
) -> tuple[IntArray, FloatArray]:
    """Candidates for each user's loved interests: (n, C), -1 pads, repeats possible; and their affinities (n, C)."""
    links: PersonaLinks = tree.links
    places, felts = [], []
    for rank in range(3):
        p = persona[:, rank]
        u = stream.at("adoption", rank).uniform(user, 2 * links.num_places)  # (n, 2 L)
        adopted = (u[:, : links.num_places] < config.adoption) & (p >= 0)[:, None]
        places.append(np.where(adopted, links.interest[p], -1))
        felts.append(felt_affinity(np.array(rank), links.strength[p], u[:, links.num_places :]))
    extra = config.idiosyncratic_interests
    u = stream.at("idiosyncratic").uniform(user, 2 * extra)
    places.append((u[:, :extra] * tree.num_interests).astype(np.int64))
    felts.append(0.4 + 0.5 * u[:, extra:])
    place, felt = np.concatenate(places, axis=1), np.concatenate(felts, axis=1)
    return np.where(felt >= config.love_threshold, place, -1), felt


@compiled_with_arrays
def _strongest(place: IntArray, felt: FloatArray, most: int, interest: IntArray, affinity: FloatArray) -> None:
    """Write each user's ``most`` strongest of interests (n, C) into slots (n, K), strongest first, each once."""
    for i in range(len(place)):
        order = np.argsort(-felt[i], kind="mergesort")
        taken = 0
        for c in order:
            if taken == most:
                break
            if place[i, c] >= 0 and find(interest, i, place[i, c]) < 0:
                interest[i, taken], affinity[i, taken] = place[i, c], felt[i, c]
                taken += 1
