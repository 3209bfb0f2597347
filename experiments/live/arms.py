"""One arm of an experiment: days of requests, slates and feedback (the protocol of docs/experiment.md).

The burn-in is an arm too: production alone, from day 0.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.base import Agent
from agents.blame import blamed
from agents.check import validate
from experiments.study.diversion import Corpus, offered
from sim.arrays import BoolArray, IntArray
from sim.files import folder_written_whole
from sim.hidden.feedback import Feedback
from sim.hidden.prior import with_own_requests
from sim.hidden.serving_day import FilledSlates, serving_day
from sim.hidden.world import World
from sim.log import AGENT, PRODUCTION, InteractionLog
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream


@dataclass
class Arm:
    """The state of an arm: its world, its platform, its recommenders.

    Attributes:
        name: the arm's name.
        world: the arm's own copy of the world.
        records: the platform's book-keeping.
        platform: the read-only front of it, which the recommenders see.
        production: serves what the agent does not.
        agent: fills the exploration slots; None in the control arm.
        users: (U,) int64, the users assigned to the arm.
        slots, exploration_slots: S and E.
        exploration_per_day: the agent's slots a user and day, at most; None for no limit.
        stream: the arm's randomness; its own draws.
        common_stream: random stream that all arms share (common random numbers): production's draws, and the places of
            the agent's slots.
        corpus: the arm's part of the items; None where it has them all.
    """

    name: str
    world: World
    records: PlatformRecords
    platform: Platform
    production: Agent
    agent: Agent | None
    users: IntArray
    slots: int
    exploration_slots: int
    stream: RandomStream
    common_stream: RandomStream
    corpus: Corpus | None = None
    exploration_per_day: int | None = None


@dataclass(frozen=True)
class DayRecord:
    """The record of an arm's day: the log, and hidden truth of its rows.

    Attributes:
        log: R impressions.
        dormant: (R,) bool, hidden truth: the interest was dormant for the user when shown.
        discovered: (R,) bool, hidden truth: this impression turned it into a discovered one.
    """

    log: InteractionLog
    dormant: BoolArray
    discovered: BoolArray

    def where(self, rows: IntArray) -> "DayRecord":
        """Rows (r,) in the order given."""
        return DayRecord(self.log.where(rows), self.dormant[rows], self.discovered[rows])


def run_day(arms: Sequence[Arm], day: int) -> DayRecord:
    """Simulate one day of an arm, or of several with users of their own that share world, records and production.

    Every active user asks for slates until they leave, or have asked ``max_requests_per_day`` times. At the end of
    the day, 0 or one more than the last, production and agents learn from all of its rows.
    """
    first = arms[0]
    users = np.concatenate([arm.users for arm in arms])
    catalog_of = partial(offered, first.corpus)
    doses = {arm.name: Dose(arm) for arm in arms}
    with serving_day(first.world, first.records, day, users=users, offered=catalog_of) as today:
        show = with_own_requests(
            first.world, first.records, first.slots, lambda user, step: _shown(arms, doses, user, day, step)
        )
        parts = [DayRecord(served.rows(), *_truth(served.feedback)) for served in today.requests(show)]
    record = _joined(parts)
    first.production.update(record.log, first.common_stream.at("production update", day))
    for arm in arms:
        if arm.agent is not None:
            arm.agent.update(record.log, arm.stream.at("update", day))
    return record


def _truth(feedback: Feedback) -> tuple[BoolArray, BoolArray]:
    """Of the examined impressions, (R,) whether dormant and (R,) whether discovered."""
    return feedback.dormant[feedback.examined], feedback.discovered[feedback.examined]


class Dose:
    """How many slots of each user's feed an arm's agent has filled today; see ``Arm.exploration_per_day``."""

    def __init__(self, arm: Arm) -> None:
        self._slots, self._most = (0 if arm.agent is None else arm.exploration_slots), arm.exploration_per_day
        self._filled = np.zeros(arm.world.config.num_users, np.int64)

    def take(self, user: IntArray) -> BoolArray:
        """(B,) bool: of which users (B,) the agent fills its slots now; counts these."""
        if self._slots == 0:
            return np.zeros(len(user), bool)
        if self._most is None:
            return np.ones(len(user), bool)
        takes = self._filled[user] + self._slots <= self._most
        self._filled[user[takes]] += self._slots
        return np.asarray(takes)


def _shown(arms: Sequence[Arm], doses: dict[str, Dose], user: IntArray, day: int, step: int) -> FilledSlates:
    """The slates of users (B,) of several arms, each from its own arm: explored, or production's alone."""
    parts = []
    for arm in arms:
        rows = np.arange(len(user)) if len(arms) == 1 else np.flatnonzero(np.isin(user, arm.users))
        explores = doses[arm.name].take(user[rows])
        for chosen, compose in ((rows[explores], compose_slates), (rows[~explores], production_slates)):
            if len(chosen):
                parts.append((chosen, compose(arm, user[chosen], day, step)))
    return FilledSlates.by_rows(parts) if len(parts) > 1 else parts[0][1]


def production_slates(arm: Arm, user: IntArray, day: int, step: int) -> FilledSlates:
    """Slates of S items that production alone fills."""
    stream = arm.common_stream.at("production", day, step)
    return checked_slates(arm.production, arm.records.requests(user, arm.slots), stream, arm.platform, "production")


def compose_slates(arm: Arm, user: IntArray, day: int, step: int) -> FilledSlates:
    """Compose slates of S items: E from the arm's agent at random positions, the rest from production.

    The agent chooses first; production then fills the other slots from what is left, so that the
    propensities of both are exact.
    """
    assert arm.agent is not None
    slots, explored = arm.slots, arm.exploration_slots
    requests = arm.records.requests(user, slots)
    asked = replace(requests, num_slots=explored)
    rng = arm.stream.at("agent", day, step)
    theirs = checked_slates(arm.agent, asked, rng, arm.platform, arm.name, AGENT)
    if explored == slots:
        return theirs
    left = requests.after(theirs.items)
    production_stream = arm.common_stream.at("production", day, step)
    own = checked_slates(arm.production, left, production_stream, arm.platform, "production")
    # The E smallest of S uniforms: every set of positions is equally likely.
    place = np.sort(
        arm.common_stream.at("positions", day, step).uniform(user, slots).argsort(axis=1)[:, :explored], axis=1
    )
    agents = np.zeros((len(user), slots), np.int8)
    np.put_along_axis(agents, place, 1, axis=1)
    # A stable sort lists production's places first, then the agent's, both in order.
    column = agents.argsort(axis=1, kind="stable").argsort(axis=1)  # (B, S) place -> column of the joint list
    return FilledSlates.joined([own, theirs], axis=1).taken(column, axis=1)


def checked_slates(
    agent: Agent, requests: Requests, rng: RandomStream, platform: Platform, name: str, source: int = PRODUCTION
) -> FilledSlates:
    """Ask a recommender, check its answer, and fill in what it may leave out.

    Raises:
        InvalidInput: names the recommender as ``name`` and what is wrong with its answer.
    """
    with blamed(f"agent {name}", agent, "recommend"):
        answer = agent.recommend(requests, rng)
    validate(answer, requests, platform, name, agent)
    return FilledSlates.of(answer.items, answer.propensity, answer.cluster, source)


def _joined(parts: list[DayRecord]) -> DayRecord:
    empty = [np.empty(0, bool)]
    return DayRecord(
        InteractionLog.concatenate(p.log for p in parts),
        np.concatenate([p.dormant for p in parts] or empty),
        np.concatenate([p.discovered for p in parts] or empty),
    )


def live(
    arms: Sequence[Arm],
    first_day: int,
    num_days: int,
    folder: Path,
    on_day: Callable[[], object],
    burn_in: InteractionLog | None = None,
) -> DayRecord:
    """Simulate ``num_days`` of an arm, writing a checkpoint a day; continues where a killed run stopped.

    Args:
        arms: as they are before ``first_day``; more than one share world, records and production.
        folder: where days are kept: ``day_0014/`` holds that day's log and, until the next day is complete, the
            whole state.
        on_day: called after each day, and for each day that was complete already.
        burn_in: the log that the arms' agents learn from before their first day.
    """
    done = _resume(arms, first_day, num_days, folder)
    for arm in arms:
        if done == 0 and arm.agent is not None and burn_in is not None:
            arm.agent.fit(arm.platform, burn_in, arm.stream.at("fit"))
    for _ in range(done):
        on_day()
    for day in range(first_day + done, first_day + num_days):
        record = run_day(arms, day)
        _write_day(arms, day, record, folder)
        on_day()
    return _joined([_read_day(folder / f"day_{day:04}") for day in range(first_day, first_day + num_days)])


def _resume(arms: Sequence[Arm], first_day: int, num_days: int, folder: Path) -> int:
    """Take over the state after the last complete day; how many days are done."""
    for day in reversed(range(first_day, first_day + num_days)):
        state = folder / f"day_{day:04}" / "state"
        if state.is_dir():
            for earlier in range(first_day, day):
                _drop_state(folder / f"day_{earlier:04}")  # a run that was killed while it dropped one left a part
            first = arms[0]
            first.world.load(state)
            catalog = offered(first.corpus, first.world.catalog)
            first.records.load(state / "records.safetensors", catalog, first.records.clusters)
            first.production.load(state / "production", first.platform)
            for arm in arms:
                if arm.agent is not None:
                    arm.agent.load(state / "agents" / arm.name, arm.platform)
            return day - first_day + 1
    return 0


def save_state(arms: Sequence[Arm], state: Path) -> None:
    """Write the whole state of an arm, or of several that share a world, into a folder of its own, whole or not."""
    first = arms[0]
    with folder_written_whole(state) as unfinished:
        (unfinished / "production").mkdir()
        first.world.save(unfinished)
        first.records.save(unfinished / "records.safetensors")
        first.production.save(unfinished / "production")
        for arm in arms:
            if arm.agent is not None:
                (unfinished / "agents" / arm.name).mkdir(parents=True)
                arm.agent.save(unfinished / "agents" / arm.name)


def _write_day(arms: Sequence[Arm], day: int, record: DayRecord, folder: Path) -> None:
    with folder_written_whole(folder / f"day_{day:04}") as unfinished:
        save_state(arms, unfinished / "state")
        record.log.write(unfinished / "log.parquet")
        save_file({"dormant": record.dormant, "discovered": record.discovered}, unfinished / "truth.safetensors")
    _drop_state(folder / f"day_{day - 1:04}")


def _drop_state(day_folder: Path) -> None:
    """Forget the state of a day that is no longer the last."""
    state = day_folder / "state"
    if state.is_dir():
        shutil.rmtree(state)


def _read_day(folder: Path) -> DayRecord:
    truth = load_file(folder / "truth.safetensors")
    return DayRecord(InteractionLog.read(folder / "log.parquet"), truth["dormant"], truth["discovered"])
