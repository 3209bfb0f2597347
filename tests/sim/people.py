"""Worlds and users for tests: small, and with everything known."""

from dataclasses import replace

import numpy as np

from envs.config import world_config
from sim.arrays import FloatArray, IntArray
from sim.config import ResponseConfig, WorldConfig
from sim.population import DISCOVERED, FREE, Population
from sim.response import DRAWS_PER_SLOT, Feedback, SessionState, SlateTruth, respond

TINY: WorldConfig = world_config("tiny")
SMALL_TINY: WorldConfig = replace(TINY, num_users=40, num_items=200)
"""A world that takes a few milliseconds."""


def only_interest(**changes: float) -> ResponseConfig:
    """Response constants under which utility is ``intercept + interest_weight * g`` exactly."""
    silent = dict.fromkeys(
        ("taste_weight", "quality_weight", "novelty_weight", "satiation_weight", "trend_weight", "noise_sd"), 0.0
    )
    return replace(TINY.response, **{**silent, **changes})


def people(num: int, slots: int = 4, status: int = DISCOVERED, affinity: float = 0.8) -> Population:
    """Users who all keep interest 0 in slot 0 and nothing else, untired, average in everything."""
    shape = (num, slots)
    population = Population(
        taste=np.zeros((num, 16), np.float32),
        activity=np.zeros(num, np.float32),
        budget_minutes=np.full(num, 10, np.float32),
        novelty_appetite=np.zeros(num, np.float32),
        interest=np.full(shape, -1, np.int32),
        affinity=np.zeros(shape, np.float32),
        status=np.full(shape, FREE, np.int8),
        exposures=np.zeros(shape, np.float32),
        positives=np.zeros(shape, np.int32),
        satiation=np.zeros(shape, np.float32),
        satisfaction=np.full(num, np.nan, np.float32),
        norm=np.full(num, np.nan, np.float32),
    )
    population.interest[:, 0], population.affinity[:, 0], population.status[:, 0] = 0, affinity, status
    return population


def slate_of(interest: IntArray, length: float = 30.0) -> SlateTruth:
    """Average items of the interests (B, S)."""
    zero = np.zeros(interest.shape, np.float32)
    return SlateTruth(
        interest=interest,
        latent=np.zeros((*interest.shape, 16), np.float32),
        quality=zero,
        length=np.full(interest.shape, length, np.float32),
        trend=zero,
    )


def show(
    population: Population, slate: SlateTruth, response: ResponseConfig, draws: FloatArray | None = None
) -> Feedback:
    """Everybody goes through their slate, in a fresh session."""
    num, slots = slate.interest.shape
    if draws is None:
        draws = np.random.default_rng(0).random((num, slots * DRAWS_PER_SLOT))
    return respond(population, SessionState.begin(num), np.arange(num), slate, draws, response, TINY.dynamics)
