"""Population: the latent state of every user (hidden), as arrays over N users.

Interests are sparse: user i keeps K *interest slots*, each an interest id with its affinity,
exposures, satiation and status, never a dense row over all M interests.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.config import PopulationConfig
from sim.items import LATENT_SIZE
from sim.random import RandomStream
from sim.tree import InterestTree

FREE, DORMANT, DISCOVERED, ACQUIRED = 0, 1, 2, 3
"""Status of an interest slot: unused; loved but unknown to the user; loved and known; not loved
at first, picked up on the way."""

_CHUNK = 8192  # users generated at a time, so that users x interests stays small


@dataclass
class Population:
    """N users. Fixed traits first, then what changes.

    Attributes:
        taste: (N, 16) float32, fine taste.
        activity: (N,) float32, logit of the daily probability of returning when satisfied as usual.
        budget_minutes: (N,) float32, minutes a day.
        novelty_appetite: (N,) float32, standardised times ``novelty_appetite_sd``.
        interest: (N, K) int32 interest of each slot, -1 where free.
        affinity: (N, K) float32 in [0, 1].
        status: (N, K) int8, ``FREE`` .. ``ACQUIRED``.
        exposures: (N, K) float32, items consumed so far.
        positives: (N, K) int32, positives so far while dormant.
        satiation: (N, K) float32 in [0, 1].
        satisfaction: (N,) float32, running mean of session satisfaction in [0, 1].
        norm: (N,) float32, what the user is used to; NaN before the first session.
    """

    taste: FloatArray
    activity: FloatArray
    budget_minutes: FloatArray
    novelty_appetite: FloatArray
    interest: IntArray
    affinity: FloatArray
    status: IntArray
    exposures: FloatArray
    positives: IntArray
    satiation: FloatArray
    satisfaction: FloatArray
    norm: FloatArray

    @property
    def num_users(self) -> int:
        """Number of users, N."""
        return len(self.activity)

    def copy(self) -> "Population":
        """A population that lives on by itself."""
        return Population(**{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def find(self, user: IntArray, interest: IntArray) -> tuple[IntArray, BoolArray]:
        """Where users (B,) keep interests (B,): slot (B,) int64, and whether they do (B,) bool."""
        same = self.interest[user] == interest[:, None]  # (B, K)
        slot = same.argmax(axis=1)
        return slot, np.asarray(same[np.arange(len(user)), slot])

    def save(self, path: Path) -> None:
        """Write every array as safetensors."""
        save_file({f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}, path)

    @staticmethod
    def load(path: Path) -> "Population":
        """Read what ``save`` wrote."""
        return Population(**load_file(path))


def generate_population(
    config: PopulationConfig, num_users: int, tree: InterestTree, stream: RandomStream
) -> Population:
    """Draw N users.

    A user is a mixture of one to three personas of falling strength (1, 0.8, 0.65). They share
    each interest of a persona with probability ``adoption``; the affinity is the strongest of

        a[i, m] = strength_p * link[p, m] * xi,   xi ~ U(0.75, 1.15), at most 1,

    over their personas. A few *idiosyncratic* interests, which no persona explains, come with
    affinity U(0.4, 0.9). Interests below ``love_threshold`` are dropped. Of the loved interests
    a share ``discovered_share`` (at least two) is known on day 0; the others are dormant.
    """
    parts = [
        _generate_chunk(config, np.arange(start, min(start + _CHUNK, num_users)), tree, stream.at("population"))
        for start in range(0, num_users, _CHUNK)
    ]
    return Population(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Population)})


def _generate_chunk(config: PopulationConfig, user: IntArray, tree: InterestTree, stream: RandomStream) -> Population:
    slots = config.interest_slots
    affinity = _affinities(config, user, tree, stream)  # (n, M)
    loved = min(slots - 8 if slots > 16 else slots // 2, tree.num_interests)
    best = np.argsort(-affinity, axis=1, kind="stable")[:, :loved]  # (n, loved)
    strength = np.take_along_axis(affinity, best, axis=1)
    is_loved = strength > 0
    key = np.where(is_loved, stream.at("discovered").uniform(user, loved), 2.0)
    known = np.maximum(2, np.rint(config.discovered_share * is_loved.sum(axis=1)))
    is_known = key.argsort(axis=1).argsort(axis=1) < known[:, None]

    n = len(user)
    interest = np.full((n, slots), -1, np.int32)
    interest[:, :loved] = np.where(is_loved, best, -1)
    slot_affinity = np.zeros((n, slots), np.float32)
    slot_affinity[:, :loved] = strength
    status = np.zeros((n, slots), np.int8)
    status[:, :loved] = np.where(is_loved, np.where(is_known, DISCOVERED, DORMANT), FREE)
    exposures = np.zeros((n, slots), np.float32)
    exposures[status == DISCOVERED] = 8.0  # known interests are familiar

    z = stream.at("traits").normal(user, 3 + LATENT_SIZE).astype(np.float32)  # (n, 19)
    correlation = config.budget_activity_correlation
    log_budget = correlation * z[:, 0] + (1 - correlation**2) ** 0.5 * z[:, 1]
    budget = config.budget_minutes_median * np.exp(config.budget_minutes_sigma * log_budget)
    return Population(
        taste=z[:, 3:],
        activity=(config.activity_mean + config.activity_sd * z[:, 0]).astype(np.float32),
        budget_minutes=budget.astype(np.float32),
        novelty_appetite=(config.novelty_appetite_sd * z[:, 2]).astype(np.float32),
        interest=interest,
        affinity=slot_affinity,
        status=status,
        exposures=exposures,
        positives=np.zeros((n, slots), np.int32),
        satiation=np.zeros((n, slots), np.float32),
        satisfaction=np.full(n, np.nan, np.float32),
        norm=np.full(n, np.nan, np.float32),
    )  # fmt: skip


def _affinities(config: PopulationConfig, user: IntArray, tree: InterestTree, stream: RandomStream) -> FloatArray:
    """(n, M) float64 affinities of a chunk of users; 0 where an interest is not loved."""
    num_personas = len(tree.personas)
    num_interests = tree.num_interests
    # Weighted draw without replacement by the Gumbel trick.
    score = np.log(tree.persona_weight) + stream.at("persona").gumbel(user, num_personas)  # (n, P)
    chosen = np.argsort(-score, axis=1)[:, :3]  # (n, <=3)
    how_many = np.searchsorted([0.3, 0.75], stream.at("mixture").uniform(user, 1)[:, 0]) + 1  # 1..3
    affinity = np.zeros((len(user), num_interests))
    for rank, strength in enumerate((1.0, 0.8, 0.65)[: chosen.shape[1]]):
        u = stream.at("adoption", rank).uniform(user, 2 * num_interests)
        adopted = u[:, :num_interests] < config.adoption
        felt = strength * tree.link[chosen[:, rank]] * (0.75 + 0.4 * u[:, num_interests:])
        member = (rank < how_many)[:, None]
        affinity = np.maximum(affinity, np.where(adopted & member, felt, 0.0))
    extra = config.idiosyncratic_interests
    if extra:
        u = stream.at("idiosyncratic").uniform(user, 2 * extra)
        place = (u[:, :extra] * num_interests).astype(np.int64)  # (n, extra)
        felt = 0.4 + 0.5 * u[:, extra:]
        rows = np.arange(len(user))
        for column in range(extra):
            at = place[:, column]
            affinity[rows, at] = np.maximum(affinity[rows, at], felt[:, column])
    affinity = np.minimum(affinity, 1.0)
    return np.where(affinity >= config.love_threshold, affinity, 0.0)
