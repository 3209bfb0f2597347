"""Lives of users in a world, in lock step: the part that all environments share.

A *world* (who lives in it, what is uploaded on which day) is named by its constants and a world
seed. A *life* in it has its own random stream, named by a life seed: candidates, responses, returns and
trends. The same user can so live many lives, each with other random draws.
"""

import abc
import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.observation import Observation
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.hidden.prior import first_records, live_prior
from sim.hidden.world import World
from sim.log import NOT_ASKED, InteractionLog
from sim.platform import PlatformRecords

PUBLIC_FEEDBACK = (
    "examined", "consumed", "positive", "liked", "disliked", "watch_seconds", "watch_fraction", "left", "survey",
)  # fmt: skip
"""The fields of the world's feedback that a platform can see."""

PublicFeedback = dict[str, npt.NDArray[Any]]
"""Arrays by field name, a leading axis of users: ``PUBLIC_FEEDBACK``, ``items``, ``clusters``, and a life's own."""


@dataclass(frozen=True)
class StandingWorld:
    """A world before day 0, shared by all lives and never changed.

    Attributes:
        world: the world, after the users' life before day 0.
        records: what the platform has seen of that, with clusters made with equal traffic.
        log: R impressions of it.
    """

    world: World
    records: PlatformRecords
    log: InteractionLog


@lru_cache(maxsize=4)
def standing_world(config: WorldConfig, world_seed: int) -> StandingWorld:
    """Make the world, and let its users live until day 0."""
    world = World(config, world_seed)
    records = first_records(world)
    log = live_prior(world, records)
    return StandingWorld(world, records, log)


@dataclass(frozen=True)
class LifeSettings:
    """Settings of an environment; checked.

    Attributes:
        config: the world's constants.
        world_seed: names the world.
        days: how long a life lasts, T.
        num_slots: items a slate, S.
    """

    config: WorldConfig
    world_seed: int
    days: int
    num_slots: int

    def __post_init__(self) -> None:
        for name in ("days", "num_slots"):
            if getattr(self, name) < 1:
                raise InvalidInput(name, getattr(self, name), "must be at least 1")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step.

    Attributes:
        acted: (B,) bool, whose slates were shown; the other users were absent.
        minutes: (B,) float64, minutes that the user watched of the slate.
        info: public feedback, (B, S) or (B,) a field; 0, False or (survey) ``NOT_ASKED`` where not ``acted``.
    """

    acted: BoolArray
    minutes: FloatArray
    info: PublicFeedback


class Life(abc.ABC):
    """B users' lives from day 0 until day T, in lock step.

    Subclasses define the action of an agent and how it becomes slates:
    ``envs.candidates.CandidateLife`` and ``envs.planning.PlanLife``. They end their ``__init__``
    with ``_begin``.

    Args:
        settings: the world and how long to live in it.
        users: (B,) int64, ascending.
        life_seed: names the random stream.
        action_shape: of one user's action.
        num_choices: an action's entries are integers below it.

    Attributes:
        users: (B,) int64, ascending.
        here: (B,) bool, who asks for a slate now. Somebody does, unless it is ``over``.
        over: whether day T has come.
        observation: batch of B observations; those of users who are not here are their last ones
            (or, before their first visit, those of day 0), and all are new when it is over.
    """

    def __init__(
        self, settings: LifeSettings, users: IntArray, life_seed: int, action_shape: tuple[int, ...], num_choices: int
    ) -> None:
        standing = standing_world(settings.config, settings.world_seed)
        # Only the population is ever written to in place; the rest is replaced day by day, or shared.
        self._world = copy.copy(standing.world)
        self._world.population = standing.world.population.copy()
        self._world.stream = standing.world.stream.at("life", life_seed)
        self._records = standing.records.copy()
        self._before = standing.log
        self._settings = settings
        self._action_shape = (len(users), *action_shape)
        self._num_choices = num_choices
        self.users = users

    def _begin(self) -> None:
        """Live until somebody is here for the first time."""
        self._begin_day(0)
        self.observation: Observation = self._observe(np.arange(len(self.users)))
        self._live_on()

    @abc.abstractmethod
    def _observe(self, rows: IntArray) -> Observation:
        """The observations of the users in ``rows`` (b,) as they ask for a slate, a batch of b."""

    @abc.abstractmethod
    def _slates(self, rows: IntArray, action: IntArray) -> tuple[IntArray, PublicFeedback]:
        """Slates (b, S) for the users in ``rows`` (b,), who get ``action`` (b, ...), and more for info (b, ...)."""

    def _remember(self, rows: IntArray, seen: PublicFeedback) -> None:
        """Record the feedback of users in ``rows`` (b,); ``seen`` has (b, S) or (b,) a field."""

    def step(self, action: IntArray) -> Outcome:
        """Show slates to those who are here, then let days pass until somebody asks again or the life is over.

        Args:
            action: (B, ...) integers, of the kind of life; rows of users who are not here are ignored.

        Raises:
            InvalidInput: not of that shape or out of range.
        """
        acted = self.here.copy()
        rows = np.flatnonzero(acted)
        action = self._checked(np.asarray(action), rows)
        outcome = self._show(acted, rows, action[rows])
        self._live_on()
        return outcome

    def _checked(self, action: IntArray, rows: IntArray) -> IntArray:
        if action.shape != self._action_shape or not np.issubdtype(action.dtype, np.integer):
            raise InvalidInput(
                "action",
                (action.shape, str(action.dtype)),
                f"must be integers of shape {self._action_shape}, a row a user",
            )
        mine = action[rows]
        wrong = mine[(mine < 0) | (mine >= self._num_choices)]
        if len(wrong):
            raise InvalidInput("action", int(wrong[0]), f"must be from 0 to {self._num_choices - 1}")
        return action

    def _show(self, acted: BoolArray, rows: IntArray, action: IntArray) -> Outcome:
        """Slates to the users in ``rows`` (b,), for ``action`` (b, ...)."""
        user, world, records = self.users[rows], self._world, self._records
        items, more = self._slates(rows, action)
        feedback = world.respond(user, items, self._request)
        records.record(user, items, feedback.examined, feedback.consumed, feedback.watch_fraction, feedback.positive)
        seen: PublicFeedback = {name: getattr(feedback, name) for name in PUBLIC_FEEDBACK}
        seen |= {"items": items, "clusters": records.cluster_of_item[items], **more}
        self._remember(rows, seen)
        info = {}
        for name, values in seen.items():
            empty = NOT_ASKED if name == "survey" else 0
            info[name] = np.full((len(self.users), *values.shape[1:]), empty, values.dtype)
            info[name][rows] = values
        minutes = np.zeros(len(self.users))
        minutes[rows] = feedback.watch_seconds.sum(axis=1, dtype=np.float64) / 60
        self._request += 1
        self.here[rows] = ~feedback.left & (self._request < self._settings.config.platform.max_requests_per_day)
        return Outcome(acted, minutes, info)

    def _live_on(self) -> None:
        """Let days pass until somebody is here or it is over; observe."""
        while not self.here.any() and not self.over:
            self._world.end_day(self._active)
            self._begin_day(self._world.day + 1)
        rows = np.arange(len(self.users)) if self.over else np.flatnonzero(self.here)
        for name, values in self._observe(rows).items():
            self.observation[name][rows] = values

    def _begin_day(self, day: int) -> None:
        active = self._world.begin_day(day)
        self._records.begin_day(day, self._world.catalog)
        self._active = self.users[np.isin(self.users, active)]
        self._request = 0
        self._live = np.flatnonzero(self._world.catalog.alive(day))
        self.over = day == self._settings.days
        self.here: BoolArray = np.isin(self.users, self._active) & (not self.over)
