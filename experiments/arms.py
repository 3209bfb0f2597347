"""One arm of an experiment: days of requests, slates and feedback (the protocol of docs/experiment.md).

The burn-in is an arm too: production alone, from day 0.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.base import Agent, Recommendations
from agents.check import validate
from experiments.diversion import Corpus, offered
from experiments.impressions import examined_rows
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput
from sim.files import replace_folder
from sim.log import AGENT, PRODUCTION, InteractionLog
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream
from sim.world import World


@dataclass
class Arm:
    """An arm as it lives: its world, its platform, its recommenders.

    Attributes:
        name: the arm's name.
        world: the arm's own copy of the world.
        records: the platform's book-keeping.
        platform: the read-only front of it, which the recommenders see.
        production: serves what the agent does not.
        agent: fills the exploration slots; None in the control arm.
        users: (U,) int64, the users assigned to the arm.
        slots, exploration_slots: S and E.
        stream: the arm's randomness; twins share ``luck``, which is the same in every arm.
        luck: randomness that arms have in common (production's draws, where the agent's slots are).
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
    luck: RandomStream
    corpus: Corpus | None = None


@dataclass(frozen=True)
class DayRecord:
    """What a day of an arm brought: the log, and the truth beside it.

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
    """Let one arm live one day, or several that share world, records and production.

    Every user who comes asks for slates until they leave, or have asked
    ``max_requests_per_day`` times. At the day's end production and agents learn from all of its rows.

    Args:
        arms: with different users each.
        day: 0, or one more than the last.
    """
    first = arms[0]
    world, records = first.world, first.records
    came = world.begin_day(day)
    came = came[np.isin(came, np.concatenate([arm.users for arm in arms]))]
    records.begin_day(day, offered(first.corpus, world.catalog))
    parts: list[DayRecord] = []
    here = came
    for step in range(world.config.platform.max_requests_per_day):
        if not len(here):
            break
        asked = [(arm, here[np.isin(here, arm.users)]) for arm in arms]
        served = [_serve(arm, users, day, step) for arm, users in asked if len(users)]
        parts.append(_in_order([record for record, _ in served]))
        here = np.sort(np.concatenate([stays for _, stays in served]))
    world.end_day(came)
    record = _joined(parts)
    first.production.update(record.log, first.luck.at("production update", day))
    for arm in arms:
        if arm.agent is not None:
            arm.agent.update(record.log, arm.stream.at("update", day))
    return record


def _serve(arm: Arm, user: IntArray, day: int, step: int) -> tuple[DayRecord, IntArray]:
    """Users (B,) of an arm ask once, and respond.

    Returns:
        What came of it, and the users (b,) who stay for more.
    """
    records = arm.records
    slate, source = compose_slates(arm, user, day, step)
    feedback = arm.world.respond(user, slate.items, step)
    filed = records.cluster_of_item
    log = examined_rows(user, day, step, slate.items, feedback, filed, slate.propensity, source, slate.cluster)
    records.record(user, slate.items, feedback.examined, feedback.consumed, feedback.watch_fraction, feedback.positive)
    record = DayRecord(log, feedback.dormant[feedback.examined], feedback.discovered[feedback.examined])
    return record, user[~feedback.left]


def _in_order(records: list[DayRecord]) -> DayRecord:
    """Several arms' rows of one step as a log has them: by user, then slot."""
    if len(records) == 1:
        return records[0]
    record = _joined(records)
    return record.where(np.argsort(record.log.user, kind="stable"))


def compose_slates(arm: Arm, user: IntArray, day: int, step: int) -> tuple[Recommendations, IntArray]:
    """Slates of S items: E from the arm's agent at random positions, the rest from production.

    The agent chooses first; production then fills the other slots from what is left, so that the
    propensities of both are exact.

    Returns:
        The slates, all of whose fields are filled (propensity NaN and cluster -1 where unknown),
        and (B, S) int8 who filled each slot.
    """
    slots, explored = arm.slots, arm.exploration_slots if arm.agent is not None else 0
    requests = arm.records.requests(user, slots)
    production_luck = arm.luck.at("production", day, step)
    if arm.agent is None or explored == 0:
        own = _checked(arm.production, requests, production_luck, arm, "production")
        return own, np.full((len(user), slots), PRODUCTION, np.int8)
    asked = replace(requests, num_slots=explored)
    theirs = _checked(arm.agent, asked, arm.stream.at("agent", day, step), arm, arm.name)
    source = np.full((len(user), slots), PRODUCTION, np.int8)
    # The E smallest of S uniforms: every set of positions is equally likely.
    place = np.sort(arm.luck.at("positions", day, step).uniform(user, slots).argsort(axis=1)[:, :explored], axis=1)
    np.put_along_axis(source, place, AGENT, axis=1)
    if explored == slots:
        return theirs, source
    own = _checked(arm.production, requests.after(theirs.items), production_luck, arm, "production")
    # A stable sort by source lists production's places first, then the agent's, both in order.
    order = source.argsort(axis=1, kind="stable").argsort(axis=1)  # (B, S) place -> column of the joint list

    def woven(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.take_along_axis(np.concatenate([a, b], axis=1), order, axis=1)

    assert own.propensity is not None
    assert own.cluster is not None
    assert theirs.propensity is not None
    assert theirs.cluster is not None
    slate = Recommendations(
        woven(own.items, theirs.items),
        woven(own.propensity, theirs.propensity),
        woven(own.cluster, theirs.cluster),
    )
    return slate, source


def _checked(agent: Agent, requests: Requests, rng: RandomStream, arm: Arm, name: str) -> Recommendations:
    """Ask a recommender, check its answer, and fill in what it may leave out."""
    try:
        answer = agent.recommend(requests, rng)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise InvalidInput(f"agent {name}", "recommend", "must not change its input; copy the array first") from error
    validate(answer, requests, arm.platform, name)
    shape = answer.items.shape
    propensity = np.full(shape, np.nan, np.float32) if answer.propensity is None else answer.propensity
    cluster = np.full(shape, -1, np.int32) if answer.cluster is None else answer.cluster
    return Recommendations(answer.items, propensity, cluster)


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
    """Let an arm live ``num_days``, writing a checkpoint a day; goes on where a killed run stopped.

    Args:
        arms: as they are before ``first_day``; more than one share world, records and production.
        folder: where days are kept: ``day_0014/`` holds that day's log and, until the next day
            is complete, the whole state.
        on_day: called after each day, and for each day found done.
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
    """Write the whole state of an arm, or of several that share a world, into a new folder."""
    first = arms[0]
    (state / "production").mkdir(parents=True)
    first.world.save(state)
    first.records.save(state / "records.safetensors")
    first.production.save(state / "production")
    for arm in arms:
        if arm.agent is not None:
            (state / "agents" / arm.name).mkdir(parents=True)
            arm.agent.save(state / "agents" / arm.name)


def _write_day(arms: Sequence[Arm], day: int, record: DayRecord, folder: Path) -> None:
    final = folder / f"day_{day:04}"
    temporary = folder / f"day_{day:04}.tmp"
    if temporary.exists():  # of a killed run
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    save_state(arms, temporary / "state")
    record.log.write(temporary / "log.parquet")
    save_file({"dormant": record.dormant, "discovered": record.discovered}, temporary / "truth.safetensors")
    replace_folder(temporary, final)
    _drop_state(folder / f"day_{day - 1:04}")


def _drop_state(day_folder: Path) -> None:
    """Forget the state of a day that is no longer the last."""
    state = day_folder / "state"
    if state.is_dir():
        shutil.rmtree(state)


def _read_day(folder: Path) -> DayRecord:
    truth = load_file(folder / "truth.safetensors")
    return DayRecord(InteractionLog.read(folder / "log.parquet"), truth["dormant"], truth["discovered"])
