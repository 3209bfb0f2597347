"""What happens to one simulated person and to the population over some days; reads the truth."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from experiments.live.reference_life import SLOTS, warmed_up
from experiments.live.reference_policies import Exploring
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.config import WorldConfig
from sim.hidden.dynamics import return_probability
from sim.hidden.population import ACQUIRED, DISCOVERED, LOVED
from sim.hidden.serving_day import FilledSlates, serving_day
from sim.hidden.world import World
from sim.random import RandomStream


@dataclass(frozen=True)
class Person:
    """A user's interest tree over T days; reads the truth.

    Attributes:
        user: who.
        interests: names of the I interests that were ever loved, or consumed from.
        themes: their themes.
        status: (T, I) int8 at the end of the day, ``FREE`` .. ``ACQUIRED``.
        satiation: (T, I) float32 at the end of the day.
        consumed: (T, I) int64 items consumed that day.
        minutes: (T,) float64 watched that day.
    """

    user: int
    interests: tuple[str, ...]
    themes: tuple[str, ...]
    status: IntArray
    satiation: FloatArray
    consumed: IntArray
    minutes: FloatArray


@dataclass(frozen=True)
class PopulationStory:
    """A population over T days; reads the truth.

    Attributes:
        loved, known: (N,) interests loved, and known of these, on day 0.
        returning: (N,) probability of coming on a day, before the first session.
        budget: (N,) minutes a day.
        discovered: (T, N) int16 dormant interests that were discovered so far.
        active: (T,) active users.
        joined, churned: (T,) users who have joined, and left for good, so far.
    """

    loved: IntArray
    known: IntArray
    returning: FloatArray
    budget: FloatArray
    discovered: IntArray
    active: IntArray
    joined: IntArray
    churned: IntArray


def simulate_portrait(config: WorldConfig, seed: int, user: int | None, days: int) -> tuple[Person, PopulationStory]:
    """Simulate T days of a world under the exploring reference policy, after the certificate's warm-up.

    The tree followed is that of a user, or with None of one like the median one.
    """
    warm = warmed_up(World(config, seed), RandomStream(seed, "portrait"))
    world, records = warm.world, warm.records
    policy = Exploring(world, records, RandomStream(seed, "portrait", "policy"))
    policy.count(warm.log.user, warm.log.item, warm.log.positive)
    people, first = world.population, world.day + 1
    returning = return_probability(people, first, config.dynamics)
    loved = np.isin(people.status, LOVED)
    user = _typical(returning, loved.sum(axis=1)) if user is None else user
    story = {
        "loved": loved.sum(axis=1),
        "known": (people.status == DISCOVERED).sum(axis=1),
        "returning": returning[people.joins <= first],
        "budget": people.budget_minutes.copy(),
    }
    num_discovered = np.zeros(config.num_users, np.int16)
    status = np.zeros((days, config.num_interests), np.int8)
    satiation, consumed = np.zeros(status.shape, np.float32), np.zeros(status.shape, np.int64)
    minutes, ends_of_days = np.zeros(days), []
    for t in tqdm(range(days), desc="portrait", unit="day", dynamic_ncols=True):
        with serving_day(world, records, first + t) as today:
            policy.begin_day(today.active)
            for served in today.requests(lambda user, step: FilledSlates.of(policy.slates(user, step, SLOTS))):
                policy.learn(served.user, served.slates.items, served.feedback)
                np.add.at(num_discovered, served.user, served.feedback.discovered.sum(axis=1).astype(np.int16))
                mine = served.slates.items[(served.user == user)[:, None] & served.feedback.consumed]
                np.add.at(consumed[t], world.truth.interest[mine], 1)
            minutes[t] = world.minutes_today()[user]
            kept = people.interest[user] >= 0
            status[t, people.interest[user][kept]] = people.status[user][kept]
            satiation[t, people.interest[user][kept]] = people.satiation[user][kept]
        num_joined, num_churned = int((people.joins <= world.day).sum()), int(people.churned.sum())
        ends_of_days.append((num_discovered.copy(), len(today.active), num_joined, num_churned))
    discovered, active, joined, churned = (np.array(values) for values in zip(*ends_of_days, strict=True))
    shown = _shown_interests(status, consumed)
    person = Person(
        user=int(user),
        interests=tuple(world.tree.interests[m] for m in shown),
        themes=tuple(world.tree.themes[world.tree.theme_of_interest[m]] for m in shown),
        status=status[:, shown],
        satiation=satiation[:, shown],
        consumed=consumed[:, shown],
        minutes=minutes,
    )
    population = PopulationStory(**story, discovered=discovered, active=active, joined=joined, churned=churned)
    return person, population


def _typical(returning: FloatArray, num_loved: IntArray) -> int:
    """A user with the median number of loved interests, and among these nearest to the median activity."""
    here = np.flatnonzero((returning > 0) & (num_loved == int(np.median(num_loved))))
    return int(here[np.abs(returning[here] - np.median(returning[here])).argmin()])


def _shown_interests(status: IntArray, consumed: IntArray) -> IntArray:
    """Numbers of interests to show: those ever loved, known first, then the acquired ones consumed from most."""
    loved: BoolArray = np.asarray(np.isin(status, LOVED).any(axis=0))
    known_days = (status == DISCOVERED).sum(axis=0)
    first = np.flatnonzero(loved)
    first = first[np.argsort(-known_days[first], kind="stable")]
    picked_up = np.flatnonzero(~loved & (status == ACQUIRED).any(axis=0))
    often = picked_up[np.argsort(-consumed[:, picked_up].sum(axis=0), kind="stable")][:5]
    return np.concatenate([first, often])
