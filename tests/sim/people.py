"""Worlds and users for tests: small, and with everything known."""

from dataclasses import dataclass, replace

import numpy as np

from envs.config import world_config
from sim.arrays import FloatArray, IntArray
from sim.hidden.config import DynamicsConfig, ResponseConfig, WorldConfig
from sim.hidden.feedback import Feedback, SessionState
from sim.hidden.population import DISCOVERED, FREE, Population
from sim.hidden.response import DRAWS_PER_SLOT, item_traits, respond

TINY: WorldConfig = world_config("tiny")
SMALL_TINY: WorldConfig = replace(TINY, num_users=40, num_items=200)
"""A world that takes a few milliseconds."""


def only_interest(**changes: float) -> ResponseConfig:
    """Response constants under which utility is ``intercept + interest_weight * g`` exactly."""
    terms = ("taste", "quality", "novelty", "satiation", "trend", "fatigue")
    silent = dict.fromkeys((*(f"{term}_weight" for term in terms), "noise_sd"), 0.0)
    return replace(TINY.response, **{**silent, **changes})


def people(num: int, slots: int = 4, status: int = DISCOVERED, affinity: float = 0.8) -> Population:
    """Users who all keep interest 0 in slot 0 and nothing else, untired, average in everything."""
    shape = (num, slots)
    population = Population(
        persona=np.full((num, 3), -1, np.int16),
        taste=np.zeros((num, 16), np.float32),
        activity=np.zeros(num, np.float32),
        budget_minutes=np.full(num, 10, np.float32),
        novelty_appetite=np.zeros(num, np.float32),
        joins=np.zeros(num, np.int32),
        interest=np.full(shape, -1, np.int16),
        affinity=np.zeros(shape, np.float32),
        status=np.full(shape, FREE, np.int8),
        exposures=np.zeros(shape, np.uint16),
        positives=np.zeros(shape, np.uint8),
        satiation=np.zeros(shape, np.float32),
        satisfaction=np.full(num, np.nan, np.float32),
        norm=np.full(num, np.nan, np.float32),
        churned=np.zeros(num, bool),
    )
    population.interest[:, 0], population.affinity[:, 0], population.status[:, 0] = 0, affinity, status
    return population


@dataclass(frozen=True)
class Slates:
    """Slates (B, S) of items each of which is shown once, and the interests' trends."""

    interest: IntArray  # (B, S)
    latent: FloatArray  # (B, S, 16)
    quality: FloatArray  # (B, S)
    length: FloatArray  # (B, S)
    trend: FloatArray  # (M,)


def slate_of(interest: IntArray, length: float = 30.0) -> Slates:
    """Average items of the interests (B, S)."""
    return Slates(
        interest=interest.astype(np.int32),
        latent=np.zeros((*interest.shape, 16), np.float32),
        quality=np.zeros(interest.shape, np.float32),
        length=np.full(interest.shape, length, np.float32),
        trend=np.zeros(int(interest.max()) + 1),
    )


def show(
    population: Population,
    slates: Slates,
    response: ResponseConfig,
    draws: FloatArray | None = None,
    session: SessionState | None = None,
    dynamics: DynamicsConfig = TINY.dynamics,
) -> Feedback:
    """Everybody goes through their slate, in a fresh session."""
    num, slots = slates.interest.shape
    if draws is None:
        draws = np.random.default_rng(0).random((num, slots, DRAWS_PER_SLOT))
    traits = item_traits(
        slates.interest.ravel(),
        slates.latent.reshape(-1, 16),
        slates.quality.ravel().astype(np.float32),
        slates.length.ravel(),
    )
    return respond(
        population, session or SessionState.begin(num), np.arange(num), np.arange(num * slots).reshape(num, slots),
        traits, slates.trend, draws, response, dynamics,
    )  # fmt: skip
