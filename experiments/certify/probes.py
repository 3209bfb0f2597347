"""Facts 7 and 9: designed probes of a world on day 0, apart from any policy (hidden truth is read)."""

from dataclasses import replace

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.hidden.config import WorldConfig
from sim.hidden.dynamics import overnight
from sim.hidden.feedback import SessionState
from sim.hidden.population import DISCOVERED, DORMANT, Population
from sim.hidden.response import DRAWS_PER_SLOT, item_traits, respond
from sim.hidden.world import World
from sim.random import RandomStream

REPEATS = 12
"""Items of one loved interest in a row."""

GAP_DAYS = (0, 1, 2, 3, 5, 7)
"""Days until the interest is shown again."""

DRIFTS = (0.0, 0.002, 0.01, 0.03, 0.1)
"""Values of ``dynamics.persona_drift_per_day`` that the tables of successors are compared at."""

MONTH = 30
SUCCESSORS = 5
_PROBED_USERS = 5000
_STAYS = 1.0  # no hazard reaches 1, so nobody with this draw leaves


def satiation_probe(world: World, stream: RandomStream) -> dict[str, list[float]]:
    """Show users their strongest discovered interest repeatedly, then once more after some days.

    Every showing is the same item with the same draws, so that nothing but the user's state
    differs between them. The value of a showing is the mean of seconds watched. Fatigue is left out, which follows from
    the length of a session and not from the interest.

    Returns:
        ``repeats``: value of each of the ``REPEATS`` showings in a row; ``recovered``: value of one
        more showing after each of ``GAP_DAYS`` without the interest.
    """
    population = world.population.copy()
    known = np.where(population.status == DISCOVERED, population.affinity, -1.0)
    user = np.flatnonzero(known.max(axis=1) > 0)[:_PROBED_USERS]
    interest = population.interest[user, known[user].argmax(axis=1)].astype(np.int64)
    item = _an_item_of(world, interest, stream)
    uniforms = stream.at("luck").uniform(user, DRAWS_PER_SLOT)
    uniforms[:, 4] = _STAYS

    def show(people: Population, times: int) -> FloatArray:
        session = SessionState.begin(people.num_users)
        truth = world.truth
        traits = item_traits(truth.interest, truth.latent, truth.quality, world.catalog.length)
        slates, draws = np.repeat(item[:, None], times, axis=1), np.repeat(uniforms[:, None], times, axis=1)
        response = replace(world.config.response, fatigue_weight=0.0)
        feedback = respond(people, session, user, slates, traits, world.trend, draws, response, world.config.dynamics)
        return np.asarray(feedback.watch_seconds.mean(axis=0, dtype=np.float64))

    repeats = show(population, REPEATS)
    recovered = []
    for night in range(max(GAP_DAYS) + 1):
        if night in GAP_DAYS:
            recovered.append(float(show(population.copy(), 1)[0]))
        overnight(population, world.config.dynamics)
    return {"repeats": repeats.tolist(), "recovered": recovered}


def _an_item_of(world: World, interest: IntArray, stream: RandomStream) -> IntArray:
    """(B,) a random item of each interest (B,)."""
    order = np.argsort(world.truth.interest, kind="stable")
    ordered = world.truth.interest[order]
    begin, end = np.searchsorted(ordered, interest), np.searchsorted(ordered, interest, side="right")
    uniforms = stream.at("item").uniform(np.arange(len(interest)), 1)[:, 0]
    return np.asarray(order[np.minimum(begin + (uniforms * (end - begin)).astype(np.int64), len(order) - 1)])


def satiation(curves: dict[str, list[float]]) -> dict[str, float]:
    """Fact 7: how much value repeats lose, and how much of that a week without them brings back.

    With v_1 .. v_n the values of showings in a row and r that after the longest gap,

        drop = 1 - v_n / v_1,        recovery = (r - v_n) / (v_1 - v_n),  undefined without a drop.

    Source: Gao et al. 2023, "CIRS: Bursting filter bubbles by counterfactual interactive
    recommender system" (satisfaction falls with recent exposure to the category, and the effect
    decays with time). The bounds are our choice.
    """
    first, last, after = curves["repeats"][0], curves["repeats"][-1], curves["recovered"][-1]
    drop = 1 - last / first if first > 0 else float("nan")
    return {"drop": drop, "recovery": (after - last) / (first - last) if drop > 0 else float("nan")}


def successor_stability(config: WorldConfig, seed: int) -> list[float]:
    """Mean Jaccard of each interest's successors on day 0 and ``MONTH`` days later, at each of ``DRIFTS``.

    The successors of an interest are the five that are dormant for most of the users who have discovered it:
    what they would love next. They are read from the truth, of the whole population and without anybody
    being served, so that the log's sampling noise does not pass for drift. Interests without five
    successors on either day are left out; nan if all are.
    """
    quiet = replace(config.items, uploads_per_day=0.0)
    small = replace(config, items=quiet, num_items=max(50, config.num_interests), prior=replace(config.prior, days=0))
    stability = []
    for drift in DRIFTS:
        world = World(replace(small, dynamics=replace(config.dynamics, persona_drift_per_day=drift)), seed)
        world.begin_day(0)
        before = successors(world.population, config.num_interests)
        for day in range(1, MONTH + 1):
            world.begin_day(day)
        stability.append(overlap(before, successors(world.population, config.num_interests)))
    return stability


def successors(population: Population, num_interests: int) -> IntArray:
    """(M, 5) int64 interests most often dormant among users who discovered each interest, -1 where there are fewer."""
    counts = np.zeros((num_interests, num_interests), np.int32)
    known, dormant = population.status == DISCOVERED, population.status == DORMANT
    for own in range(known.shape[1]):
        user = np.flatnonzero(known[:, own])
        rows, slot = np.nonzero(dormant[user])
        one = population.interest[user[rows], own].astype(np.int64)
        np.add.at(counts, (one, population.interest[user[rows], slot].astype(np.int64)), 1)
    ranked = np.argsort(-counts, axis=1, kind="stable")[:, :SUCCESSORS]
    return np.where(np.take_along_axis(counts, ranked, axis=1) > 0, ranked, -1)


def overlap(before: IntArray, after: IntArray) -> float:
    """Mean Jaccard of the sets in the rows of (M, 5) and (M, 5), over rows without a -1 in either."""
    whole = (before >= 0).all(axis=1) & (after >= 0).all(axis=1)
    if not whole.any():
        return float("nan")
    common = (before[whole][:, :, None] == after[whole][:, None, :]).sum(axis=(1, 2))
    return float((common / (2 * SUCCESSORS - common)).mean())


def drift_dial(stability: list[float]) -> dict[str, float]:
    """Fact 9: successor overlap without drift, with the strongest, and the largest step that goes the wrong way.

    Source: a month-over-month top-5 Jaccard of 0.17 on a live platform (arXiv 2510.20260); the dial
    is to reach it, so 0.17 must lie between the ends, and more drift must not mean more overlap.
    """
    steps = np.diff(stability)
    return {"none": stability[0], "strongest": stability[-1], "wrong_way": float(np.maximum(0.0, steps.max()))}
