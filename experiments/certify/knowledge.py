"""Fact 20: room for knowledge. Does it help a planner to know which interests go together?"""

import copy
from dataclasses import dataclass, replace

import numpy as np

from agents.planner import Planner
from agents.planners import RandomNovelPlanner
from experiments.certify.engagement import over
from experiments.live.reference_life import WarmWorld
from experiments.oracles.persona_oracle import PersonaOraclePlanner
from experiments.oracles.truth import majority_interests
from sim.arrays import FloatArray, IntArray
from sim.hidden.population import DORMANT
from sim.hidden.world import World
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream

PLANNED = 2
"""Clusters that a planner proposes to each user."""

DEALS = 5
"""Random exchanges of interests whose aims the control takes the mean of."""


def room_for_knowledge(warm: WarmWorld, stream: RandomStream) -> dict[str, float]:
    """How much better planners aim who know all personas, and whether that comes from what goes together.

    The aim of a planner is the share of its proposals whose cluster is, for the user, one of a dormant interest. Every
    active user of the next day gets ``PLANNED`` proposals, from the persona oracle (which reads the personas and two
    clusters of the user's history) and from the planner of random novel clusters:

        ratio = aim(persona oracle) / aim(random novel)

    In the control the oracle reads personas whose interests have been exchanged at random (``DEALS`` times; the aim is
    the mean): knowledge that is wrong must not pay. Where only the users are exchanged, a part of the ratio is left:
    interests of common personas are dormant for many. ``personal`` is the ratio without that part: the ratio over what
    it would be if each user's proposals, of both planners, went to another user.

    Args:
        warm: the world and what the platform has seen of it; not changed.
        stream: the draws.

    Returns:
        ``ratio``, ``control``, ``personal``; the aims ``oracle`` and ``random``; ``linked``, the share of the pairs of
        interests that share a persona. All but ``linked`` are NaN if nobody is active on the next day.
    """
    world, records = copy.deepcopy(warm.world), warm.records.copy()
    user = world.begin_day(world.day + 1)
    records.begin_day(world.day, world.catalog)
    exam = _Exam.of(world, records, user, warm.log)
    other = user[stream.at("others").generator().permutation(len(user))]
    planned = exam.proposals(_oracle(world), stream)
    oracle, elsewhere = exam.aim(planned, user), exam.aim(planned, other)
    drawn = exam.proposals(RandomNovelPlanner(), stream)
    random, random_elsewhere = exam.aim(drawn, user), exam.aim(drawn, other)
    wrong = [exam.aim(exam.proposals(_oracle(_dealt(world, stream.at("deal", n))), stream), user) for n in range(DEALS)]
    return {
        "ratio": over(oracle, random),
        "control": over(float(np.mean(wrong)), random),
        "personal": over(over(oracle, random), over(elsewhere, random_elsewhere)),
        "oracle": oracle,
        "random": random,
        "linked": linked_share(world.links.dense(world.config.num_interests)),
    }


@dataclass(frozen=True)
class _Exam:
    """The users who are planned for, and the interest that most of each cluster's live items have (-1: none)."""

    world: World
    platform: Platform
    requests: Requests
    interest: IntArray
    log: InteractionLog

    @staticmethod
    def of(world: World, records: PlatformRecords, user: IntArray, log: InteractionLog) -> "_Exam":
        platform = Platform(records)
        live, num = platform.live_items(), platform.clusters.num_clusters
        filed = platform.cluster_of_item[live]
        interest, _ = majority_interests(world.truth.interest[live], filed, num, world.config.num_interests)
        return _Exam(world, platform, records.requests(user, PLANNED), interest, log)

    def proposals(self, planner: Planner, stream: RandomStream) -> IntArray:
        """(B, PLANNED) interests of the clusters that a planner proposes; planners are not asked for nobody."""
        if not len(self.requests):
            return np.empty((0, PLANNED), np.int64)
        planner.fit(self.platform, self.log, stream.at("fit"))
        return self.interest[planner.propose(self.requests, stream.at("propose"))]

    def aim(self, planned: IntArray, user: IntArray) -> float:
        """Share of the proposals (B, PLANNED) that are dormant interests of users (B,)."""
        people, owner, wanted = self.world.population, np.repeat(user, PLANNED), planned.reshape(-1)
        slot, there = people.find(owner, wanted)
        dormant = there & (wanted >= 0) & (people.status[owner, slot] == DORMANT)
        return float(dormant.mean()) if len(owner) else float("nan")


def _oracle(world: World) -> PersonaOraclePlanner:
    planner = PersonaOraclePlanner()
    planner.reveal(world)
    return planner


def _dealt(world: World, stream: RandomStream) -> World:
    """The same world to whoever reads its personas, but with the interests that they name exchanged at random."""
    other = copy.copy(world)
    new = stream.generator().permutation(world.config.num_interests)
    names = world.links.interest
    other.links = replace(world.links, interest=np.where(names >= 0, new[names], -1).astype(names.dtype))
    return other


def linked_share(typical: FloatArray) -> float:
    """Share of the pairs of interests that share a persona, of (P, M) how typical each interest is of each persona."""
    has = typical > 0
    together = (has.T.astype(np.int64) @ has.astype(np.int64)) > 0
    num = len(together)
    return float(together[np.triu_indices(num, 1)].mean()) if num > 1 else float("nan")
