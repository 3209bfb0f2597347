"""Which interests each persona names, and how that drifts (hidden).

Fashions change: now and then a persona drops an interest and takes up another one, preferably one
that is trending. Its members then no longer have a latent love of the one, and may have one of the
other. Interests that they already discovered stay. So a model of co-interests that was learned earlier gets outdated.
"""

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.hidden.config import PopulationConfig
from sim.hidden.population import ACQUIRED, DORMANT, FREE, Population, felt_affinity
from sim.hidden.tree import PersonaLinks
from sim.random import RandomStream


@dataclass(frozen=True)
class Swap:
    """Persona ``persona`` drops interest ``dropped`` and takes up ``taken``, as typical of it as the old one was."""

    persona: int
    place: int
    dropped: int
    taken: int
    strength: float


def drift_links(
    links: PersonaLinks, trend: FloatArray, per_day: float, stream: RandomStream
) -> tuple[PersonaLinks, list[Swap]]:
    """A day's drift of the persona links.

    Each link is swapped with probability ``per_day``, for an interest that the persona does not
    name, drawn with probability proportional to exp(trend).

    Args:
        links: the links of yesterday.
        trend: (M,) float64, today's trends.
        per_day: probability.
        stream: the day's randomness.
    """
    num_personas, num_places = links.interest.shape
    rows = np.arange(num_personas * num_places)
    draws = stream.uniform(rows, 2).reshape(num_personas, num_places, 2)
    interest = links.interest.copy()
    weight = np.exp(trend)
    swaps = []
    for persona, place in np.argwhere((draws[:, :, 0] < per_day) & (links.interest >= 0)):
        open_weight = weight.copy()
        open_weight[interest[persona][interest[persona] >= 0]] = 0.0
        if not open_weight.any():
            continue  # the persona names every interest already
        cumulative = np.cumsum(open_weight)
        taken = int(np.searchsorted(cumulative, draws[persona, place, 1] * cumulative[-1], side="right"))
        dropped, strength = int(interest[persona, place]), float(links.strength[persona, place])
        swaps.append(Swap(int(persona), int(place), dropped, taken, strength))
        interest[persona, place] = taken
    return PersonaLinks(interest, links.strength), swaps


def follow(
    population: Population, swap: Swap, links: PersonaLinks, config: PopulationConfig, stream: RandomStream
) -> None:
    """Let a persona's members follow one of its swaps; changes ``population``.

    A member's latent love of the dropped interest ends, unless another persona of theirs names it.
    A member takes up the new one with probability ``adoption``, with the affinity of
    ``sim.hidden.population.generate_population``, as a dormant interest in a free slot or that of the
    weakest acquired interest.

    Args:
        population: all users.
        swap: the swap.
        links: the links after it.
        config: the population's constants.
        stream: the swap's randomness; row = user.
    """
    holds = population.persona == swap.persona  # (N, 3)
    user = np.flatnonzero(holds.any(axis=1))
    if not len(user):
        return
    slot, kept = population.find(user, np.full(len(user), swap.dropped))
    named = (links.interest[population.persona[user]] == swap.dropped).any(axis=2)  # (n, 3)
    elsewhere = (named & (population.persona[user] >= 0)).any(axis=1)
    ends = kept & (population.status[user, slot] == DORMANT) & ~elsewhere
    _free(population, user[ends], slot[ends])
    draws = stream.uniform(user, 2)
    affinity = felt_affinity(holds[user].argmax(axis=1), np.full(len(user), swap.strength), draws[:, 1])
    takes = (draws[:, 0] < config.adoption) & (affinity >= config.love_threshold)
    _take_up(population, user[takes], swap.taken, affinity[takes])


def _free(population: Population, user: IntArray, slot: IntArray) -> None:
    population.interest[user, slot] = -1
    population.status[user, slot] = FREE
    for name in ("affinity", "exposures", "positives", "satiation"):
        getattr(population, name)[user, slot] = 0


def _take_up(population: Population, user: IntArray, interest: int, affinity: FloatArray) -> None:
    """Give users (n,) the dormant interest, with affinities (n,); affinities that users already have never fall."""
    slot, kept = population.find(user, np.full(len(user), interest))
    u, k = user[kept], slot[kept]
    population.affinity[u, k] = np.maximum(population.affinity[u, k], affinity[kept])
    acquired = population.status[u, k] == ACQUIRED
    population.status[u[acquired], k[acquired]] = DORMANT
    u, felt = user[~kept], affinity[~kept]
    status = population.status[u]  # (n', K)
    # Free slots first, then acquired ones, lowest affinity first.
    key = np.where(status == FREE, -1.0, np.where(status == ACQUIRED, population.affinity[u], np.inf))
    place = key.argmin(axis=1)
    room = np.isfinite(key[np.arange(len(u)), place])
    u, k = u[room], place[room]
    _free(population, u, k)
    population.interest[u, k] = interest
    population.affinity[u, k] = felt[room]
    population.status[u, k] = DORMANT
