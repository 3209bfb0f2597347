"""A day of a world: active users ask for slates until they leave, and the platform records their feedback.

Every simulation in this project consists of such days: of an arm, a frozen agent, a reference policy.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.hidden.feedback import Feedback
from sim.hidden.world import World
from sim.log import OWN, PRODUCTION, InteractionLog
from sim.platform import PlatformRecords


@dataclass(frozen=True)
class FilledSlates:
    """Slates of S items for B users, and where each comes from.

    Attributes:
        items: (B, S) int64.
        propensity: (B, S) float32, of the item in its slot given those above; NaN where unknown.
        cluster: (B, S) int32, the level-2 cluster that was planned; -1 where nobody planned.
        source: (B, S) int8, who filled the slot, see ``sim.log``.
    """

    items: IntArray
    propensity: FloatArray
    cluster: IntArray
    source: IntArray

    @classmethod
    def of(
        cls,
        items: IntArray,
        propensity: FloatArray | None = None,
        cluster: IntArray | None = None,
        source: int | IntArray = PRODUCTION,
    ) -> "FilledSlates":
        """Slates that one recommender filled, which may leave columns out; ``source`` of all slots, or (B, S)."""
        return cls(
            items,
            np.full(items.shape, np.nan, np.float32) if propensity is None else propensity,
            np.full(items.shape, -1, np.int32) if cluster is None else cluster,
            np.full(items.shape, source, np.int8),
        )

    @classmethod
    def joined(cls, parts: "list[FilledSlates]", axis: int) -> "FilledSlates":
        """Slates of other users one after the other (axis 0), or of the same users side by side (axis 1)."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts], axis) for f in fields(cls)})

    @classmethod
    def by_rows(cls, parts: "Sequence[tuple[IntArray, FilledSlates]]") -> "FilledSlates":
        """Slates of B users, of which each part has some: their rows (b,) among the B, and their slates."""
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return cls.joined([slates for _, slates in parts], axis=0).taken(order, axis=0)

    def taken(self, order: IntArray, axis: int) -> "FilledSlates":
        """Users in the order (b,) (axis 0), or each user's slots in an order (B, s) of their own (axis 1)."""
        index = order if axis else order[:, None]
        return FilledSlates(
            **{f.name: np.take_along_axis(getattr(self, f.name), index, axis) for f in fields(FilledSlates)}
        )


Show = Callable[[IntArray, int], FilledSlates]
"""Given users (B,) and their request number today, what they are shown."""


@dataclass(frozen=True)
class Served:
    """One request of B users, and their feedback.

    Attributes:
        user: (B,) int64, ascending.
        day, step: when: the day, and the users' request number on it.
        slates: what they were shown.
        feedback: what they did.
        cluster_of_item: (n,) level-2 cluster of every item; None where there are no clusters yet.
    """

    user: IntArray
    day: int
    step: int
    slates: FilledSlates
    feedback: Feedback
    cluster_of_item: IntArray | None

    def recommended(self) -> "Served":
        """The users whose slates are recommenders', without those who chose for themselves."""
        rows = np.flatnonzero(self.slates.source[:, 0] != OWN)
        if len(rows) == len(self.user):
            return self
        slates, feedback = self.slates.taken(rows, axis=0), self.feedback.where(rows)
        return replace(self, user=self.user[rows], slates=slates, feedback=feedback)

    def rows(self) -> InteractionLog:
        """The examined impressions, by user and slot."""
        feedback = self.feedback
        row, slot = place = np.nonzero(feedback.examined)
        item = self.slates.items[place]
        return InteractionLog(
            user=self.user[row],
            day=np.full(len(row), self.day),
            step=np.full(len(row), self.step),
            slot=slot,
            item=item,
            cluster=np.full(len(row), -1) if self.cluster_of_item is None else self.cluster_of_item[item],
            watch_seconds=feedback.watch_seconds[place],
            watch_fraction=feedback.watch_fraction[place],
            liked=feedback.liked[place],
            disliked=feedback.disliked[place],
            positive=feedback.positive[place],
            consumed=feedback.consumed[place],
            propensity=self.slates.propensity[place],
            source=self.slates.source[place],
            planned=self.slates.cluster[place],
            survey=feedback.survey[place],
        )


@dataclass(frozen=True)
class Today:
    """A day that has begun.

    Attributes:
        world: whose day it is.
        records: the platform's book-keeping; None before there is any.
        active: (A,) int64, ascending: today's active users.
    """

    world: World
    records: PlatformRecords | None
    active: IntArray

    def requests(self, show: Show) -> Iterator[Served]:
        """Let every active user ask until they leave, or have asked ``max_requests_per_day`` times.

        Args:
            show: given users (B,) and their request number today, what they are shown.

        Yields:
            Each request, when it is written down.
        """
        world, records, asking = self.world, self.records, self.active
        for step in range(world.config.platform.max_requests_per_day):
            if not len(asking):
                return
            slates = show(asking, step)
            feedback = world.respond(asking, slates.items, step)
            if records is not None:
                records.record(
                    asking,
                    slates.items,
                    feedback.examined,
                    feedback.consumed,
                    feedback.watch_fraction,
                    feedback.positive,
                )
            yield Served(
                asking, world.day, step, slates, feedback, None if records is None else records.cluster_of_item
            )
            asking = asking[~feedback.left]


@contextmanager
def serving_day(
    world: World,
    records: PlatformRecords | None,
    day: int,
    *,
    users: IntArray | None = None,
    offered: Callable[[Catalog], Catalog] = lambda catalog: catalog,
) -> Iterator[Today]:
    """Start a day of a world and its platform; it ends, with its overnight changes, where the ``with`` block ends.

    Args:
        world: the world.
        records: the platform's book-keeping; None where there are no clusters to file anything under yet.
        day: the world's first, or one more than the last.
        users: (U,) int64, who is served of those who come; None for everybody.
        offered: of the day's catalog, what the platform can show.
    """
    active = world.begin_day(day)
    if users is not None:
        active = active[np.isin(active, users)]
    if records is not None:
        records.begin_day(day, offered(world.catalog))
    yield Today(world, records, active)
    world.end_day(active)
