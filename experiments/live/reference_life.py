"""Simulation of a policy that serves a world for some days, and its log."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.live.pipeline import TRAFFIC_PRIOR
from experiments.live.reference_policies import Greedy, Random, WarmUp
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.clustering import cut_tree, describe_tree
from sim.hidden.prior import first_records, live_prior, with_own_requests
from sim.hidden.serving_day import Show, serving_day
from sim.hidden.world import World
from sim.log import OWN, InteractionLog
from sim.platform import PlatformRecords
from sim.random import RandomStream

SLOTS = 10
"""Items a slate."""

WARM_UP_DAYS = 7


@dataclass(frozen=True)
class WarmWorld:
    """A world after its warm-up, with the clusters made of that traffic.

    Attributes:
        world: the world; ``simulate_policy`` copies it, so that several policies start from the same.
        records: the platform's book-keeping, with what users consumed in the warm-up.
        log: the warm-up's impressions, filed under the clusters.
        items, traffic, tree: (n,) the clustered items, (n,) their weights, (n, 4) their cut.
    """

    world: World
    records: PlatformRecords
    log: InteractionLog
    items: IntArray
    traffic: FloatArray
    tree: IntArray


@dataclass(frozen=True)
class Life:
    """The result of a policy's days.

    Attributes:
        log: R impressions, in the order (day, step, user, slot).
        length: (n,) float32 seconds of every item, those uploaded meanwhile included.
        interest: (n,) int32 hidden interest of every item.
        consumed_before: (N, M) clusters that each user had consumed from before the first day.
    """

    log: InteractionLog
    length: FloatArray
    interest: IntArray
    consumed_before: BoolArray

    @property
    def recommended(self) -> InteractionLog:
        """What the policy showed, without the users' own choices."""
        return self.log.where(self.log.source != OWN)

    @property
    def seconds(self) -> float:
        """Watched by all users together."""
        return float(self.log.watch_seconds.sum(dtype=np.float64))


def warmed_up(world: World, stream: RandomStream, on_day: Callable[[], object] = lambda: None) -> WarmWorld:
    """Let users live before day 0, or run a warm-up where they have no such life; then cluster by that traffic.

    ``on_day`` is called at the end of each day before day 0, and not in a warm-up.
    """
    config = world.config
    records = first_records(world)
    if config.prior.days:
        log = live_prior(world, records, on_day)
    else:
        log = _serve(world, None, WarmUp(world, records, stream.at("warm-up")), 0, WARM_UP_DAYS)
    items = np.flatnonzero(world.catalog.alive(world.day))
    watches = np.bincount(log.item[log.consumed], minlength=world.catalog.num_items)[items]
    traffic = TRAFFIC_PRIOR * max(watches.mean(), 1.0) + watches
    tree = cut_tree(world.catalog, items, traffic, config.clusters)
    clusters = describe_tree(world.catalog, items, traffic, tree, config.clusters)
    records.adopt(world.catalog, clusters)
    log = log.with_clusters(records.cluster_of_item)
    records.mark_consumed(log.user[log.consumed], log.cluster[log.consumed])
    return WarmWorld(world, records, log, items, traffic, tree)


def simulate_policy(warm: WarmWorld, policy: type[Random], days: int, stream: RandomStream) -> Life:
    """Let a policy serve a copy of a warm world; all policies have the same users and common random numbers.

    A share ``own_share`` of the requests is the users' own choice. Policies learn from these too.
    """
    world, records = copy.deepcopy(warm.world), warm.records.copy()
    before = records.consumed.copy()
    # The same stream for all policies, so that they differ only in their choices.
    chooses = policy(world, records, stream.at("policy"))
    if isinstance(chooses, Greedy):
        chooses.count(warm.log.user, warm.log.item, warm.log.positive)
    log = _serve(world, records, chooses, world.day + 1, days)
    return Life(log, world.catalog.length, world.truth.interest, before)


def _serve(world: World, records: PlatformRecords | None, policy: Random, first_day: int, days: int) -> InteractionLog:
    parts = []
    for day in range(first_day, first_day + days):
        with serving_day(world, records, day) as today:
            policy.begin_day(today.active)
            show: Show = partial(policy.slates, num_slots=SLOTS)
            if records is not None:
                show = with_own_requests(world, records, SLOTS, show)
            for served in today.requests(show):
                parts.append(served.rows())
                policy.learn(served.user, served.slates.items, served.feedback)
    return InteractionLog.concatenate(parts)
