"""What happens to one simulated person and to the population over some days; reads the truth."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.live.reference_life import SLOTS, warmed_up
from experiments.live.reference_policies import Exploring, Greedy
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.hidden.dynamics import return_probability
from sim.hidden.population import ACQUIRED, DISCOVERED, LOVED
from sim.hidden.prior import with_own_requests
from sim.hidden.serving_day import serving_day
from sim.hidden.world import World
from sim.log import SOURCE_NAMES, InteractionLog
from sim.random import RandomStream

OTHER = "other interests"


@dataclass(frozen=True)
class Person:
    """A user's interest tree over T days; reads the truth.

    Attributes:
        user: who.
        first_day: the first of the T days relative to day 0: ``-prior.days``.
        agent_day: the day on which the agent starts.
        interests: names of the I - 1 interests that were ever loved or were picked up, at most five of the latter,
            and ``OTHER``, which holds what was consumed from all others.
        status: (T, I) int8 at the end of the day, ``FREE`` .. ``ACQUIRED``.
        satiation: (T, I) float32 at the end of the day.
        consumed: (4, T, I) int64 items consumed that day, by ``InteractionLog.source``.
        minutes: (4, T) float64 watched that day, by ``InteractionLog.source``.
    """

    user: int
    first_day: int
    agent_day: int
    interests: tuple[str, ...]
    status: IntArray
    satiation: FloatArray
    consumed: IntArray
    minutes: FloatArray


@dataclass(frozen=True)
class PopulationStory:
    """A population over T days from day 0 on; reads the truth.

    Attributes:
        agent_day: the day on which the agent starts.
        loved, known: (N,) interests loved, and known of these, on day 0.
        returning: (N,) probability of coming on a day, before the first session.
        budget: (N,) minutes a day.
        discovered: (T, N) int16 dormant interests that were discovered so far.
        active: (T,) active users.
        joined, churned: (T,) users who have joined, and left for good, so far.
    """

    agent_day: int
    loved: IntArray
    known: IntArray
    returning: FloatArray
    budget: FloatArray
    discovered: IntArray
    active: IntArray
    joined: IntArray
    churned: IntArray


def simulate_portrait(
    config: WorldConfig, seed: int, user: int | None, days: int, burn_in_days: int
) -> tuple[Person, PopulationStory]:
    """Simulate days of a world after the users' life before day 0, or after the certificate's warm-up.

    Reference policies stand in for recommenders: ``Greedy`` for production, which serves alone at first, and then
    ``Exploring``, whose explored slots stand in for an agent's. It continues from what ``Greedy`` has learned.

    Args:
        config, seed: of the world.
        user: whose tree is followed; with None one like the median one.
        days: from day 0 on.
        burn_in_days: of these, the days of production alone; below ``days``.

    Raises:
        InvalidInput: no user is given, and nobody has joined on the world's first day.
    """
    world = World(config, seed)
    diary = _Diary(world, _typical(world) if user is None else user)
    warm = warmed_up(world, RandomStream(seed, "portrait"), diary.end_day)
    records, people, first = warm.records, world.population, world.day + 1
    choices = RandomStream(seed, "portrait", "policy")
    policy = Greedy(world, records, choices)
    policy.count(warm.log.user, warm.log.item, warm.log.positive)
    if config.prior.days:
        diary.keep(warm.log)
    on_day_0 = _interests_and_visits(world, first)
    num_discovered, ends_of_days = np.zeros(config.num_users, np.int16), []
    for t in tqdm(range(days), desc="portrait", unit="day", dynamic_ncols=True):
        if t == burn_in_days:
            production, policy = policy, Exploring(world, records, choices)
            policy.continue_from(production)
        with serving_day(world, records, first + t) as today:
            policy.begin_day(today.active)
            show = with_own_requests(world, records, SLOTS, partial(policy.slates, num_slots=SLOTS))
            for served in today.requests(show):
                policy.learn(served.user, served.slates.items, served.feedback)
                np.add.at(num_discovered, served.user, served.feedback.discovered.sum(axis=1).astype(np.int16))
                diary.keep(served.rows())
            diary.end_day()
        num_joined, num_churned = int((people.joins <= world.day).sum()), int(people.churned.sum())
        ends_of_days.append((num_discovered.copy(), len(today.active), num_joined, num_churned))
    discovered, active, joined, churned = (np.array(values) for values in zip(*ends_of_days, strict=True))
    population = PopulationStory(
        burn_in_days, **on_day_0, discovered=discovered, active=active, joined=joined, churned=churned
    )
    return diary.person(first, burn_in_days), population


class _Diary:
    """What is read of one user: status and satiation at the end of each day, and rows of the log."""

    def __init__(self, world: World, user: int) -> None:
        self.world, self.user = world, user
        self.status: list[IntArray] = []
        self.satiation: list[FloatArray] = []
        self.rows: list[InteractionLog] = []

    def end_day(self) -> None:
        """Read the user's status and satiation, by interest (M,)."""
        people, num = self.world.population, self.world.config.num_interests
        kept = np.flatnonzero(people.interest[self.user] >= 0)
        interest = people.interest[self.user, kept]
        status, satiation = np.zeros(num, np.int8), np.zeros(num, np.float32)
        status[interest] = people.status[self.user, kept]
        satiation[interest] = people.satiation[self.user, kept]
        self.status.append(status)
        self.satiation.append(satiation)

    def keep(self, log: InteractionLog) -> None:
        """Keep the user's rows of a log."""
        self.rows.append(log.where(log.user == self.user))

    def person(self, day_0: int, agent_day: int) -> Person:
        """The user's tree, whose days are relative to the world's day ``day_0``."""
        status, satiation = np.array(self.status), np.array(self.satiation)
        log = InteractionLog.concatenate(self.rows)
        first_day = self.world.day + 1 - day_0 - len(status)
        day = log.day - day_0 - first_day
        consumed = np.zeros((len(SOURCE_NAMES), *status.shape), np.int64)
        np.add.at(consumed, (log.source, day, self.world.truth.interest[log.item]), log.consumed)
        minutes = np.zeros(consumed.shape[:2])
        np.add.at(minutes, (log.source, day), log.watch_seconds / 60)
        shown = _shown_interests(status, consumed.sum(axis=0))
        others = consumed.sum(axis=2) - consumed[:, :, shown].sum(axis=2)
        nothing = np.zeros((len(status), 1), status.dtype)
        return Person(
            user=int(self.user),
            first_day=first_day,
            agent_day=agent_day,
            interests=(*(self.world.tree.interests[m] for m in shown), OTHER),
            status=np.hstack([status[:, shown], nothing]),
            satiation=np.hstack([satiation[:, shown], nothing.astype(satiation.dtype)]),
            consumed=np.concatenate([consumed[:, :, shown], others[:, :, None]], axis=2),
            minutes=minutes,
        )


def _interests_and_visits(world: World, day: int) -> dict[str, Any]:
    """The fields of ``PopulationStory`` that are about the users on day 0, the world's ``day``."""
    people = world.population
    return {
        "loved": np.isin(people.status, LOVED).sum(axis=1),
        "known": (people.status == DISCOVERED).sum(axis=1),
        "returning": return_probability(people, day, world.config.dynamics)[people.joins <= day],
        "budget": people.budget_minutes.copy(),
    }


def _typical(world: World) -> int:
    """On the world's first day: of the users nearest to the median of loved interests that of the median activity.

    Raises:
        InvalidInput: nobody is there on that day.
    """
    num_loved = np.isin(world.population.status, LOVED).sum(axis=1)
    returning = return_probability(world.population, world.first_day, world.config.dynamics)
    here = np.flatnonzero(returning > 0)
    if not len(here):
        raise InvalidInput("user", None, "must be a user's number here: nobody has joined on the world's first day")
    distance = np.abs(num_loved[here] - int(np.median(num_loved)))
    here = here[distance == distance.min()]
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
