"""Progress of a running experiment: after each day of an arm a line in the terminal, and scalars for a tracker.

Values are computed from the arm's log, as in ``experiments.measures.metrics``; the experiment does not read them.
"""

import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from agents.novelty import novel_rows
from experiments.live.tracking import Tracker
from experiments.measures.metrics import ACTIVE_MINUTES
from experiments.stages.stages import partial_folder
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput
from sim.log import OWN, InteractionLog


@dataclass(frozen=True)
class DaySums:
    """Sums of one or more days of an arm, before division.

    Attributes:
        user_days: assigned users times days.
        minutes: watched.
        active: user-days with at least ``ACTIVE_MINUTES``.
        impressions, positive, novel: of the whole feed, without what users chose for themselves; novel as in
            ``agents.novelty.novel_rows``.
    """

    user_days: int
    minutes: float
    active: int
    impressions: int
    positive: int
    novel: int

    def __add__(self, other: "DaySums") -> "DaySums":
        return DaySums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def values(self) -> dict[str, float]:
        """The four metrics shown while an arm runs, by their names in ``results.json``; undefined ones are left out."""
        ratios = {
            "watch_minutes_per_user_day": (self.minutes, self.user_days),
            "active_user_share": (self.active, self.user_days),
            "positive_rate": (self.positive, self.impressions),
            "novel_impression_ratio": (self.novel, self.impressions),
        }
        return {name: above / below for name, (above, below) in ratios.items() if below}


NOTHING = DaySums(*(0 for _ in fields(DaySums)))


@dataclass(frozen=True)
class ArmDay:
    """One day of one arm; ``day`` counts from 1, the first of the A/B."""

    arm: str
    day: int
    sums: DaySums


def days_of(
    arm: str, users: IntArray, consumed_before: BoolArray, folder: Path, first_day: int, num_days: int
) -> Iterator[ArmDay]:
    """Day after day of an arm, each read when it is asked for.

    Args:
        arm: its name.
        users: (U,) int64, ascending, assigned to it; rows of others are left out.
        consumed_before: (N, M) clusters that each user consumed from before the A/B.
        folder: where ``experiments.live.arms.live`` keeps the days; see ``has_day``.
        first_day, num_days: of the A/B.
    """
    consumed = consumed_before.copy()
    for day in range(num_days):
        log = _log_of(folder, first_day + day)
        log = log.where(np.flatnonzero(np.isin(log.user, users)))
        feed = log.source != OWN
        minutes = np.bincount(log.user, log.watch_seconds.astype(np.float64), minlength=1) / 60
        sums = DaySums(
            user_days=len(users),
            minutes=float(minutes.sum()),
            active=int((minutes >= ACTIVE_MINUTES).sum()),
            impressions=int(feed.sum()),
            positive=int(log.positive[feed].sum()),
            novel=int(novel_rows(log, consumed)[feed].sum()),
        )
        consumed[log.user[log.consumed], log.cluster[log.consumed]] = True
        yield ArmDay(arm, day + 1, sums)


def has_day(folder: Path, day: int) -> bool:
    """Whether a day of an arm is complete; ``folder`` is ``days`` in its stage's, which may still be at work."""
    return any(log.is_file() for log in _logs(folder, day))


def _logs(folder: Path, day: int) -> tuple[Path, Path]:
    """Where a day's log is while the stage is at work, and afterwards."""
    log = Path(folder.name) / f"day_{day:04}" / "log.parquet"
    return partial_folder(folder.parent) / log, folder.parent / log


def _log_of(folder: Path, day: int) -> InteractionLog:
    at_work, finished = _logs(folder, day)
    if at_work.is_file():
        try:
            return InteractionLog.read(at_work)
        except InvalidInput:  # the stage was finished a moment ago
            pass
    return InteractionLog.read(finished)


class Watch:
    """Reports every day of every arm, in any order."""

    def __init__(self, arms: tuple[str, ...], num_days: int, tracker: Tracker) -> None:
        """The tracker gets each day's values by themselves, as ``METRIC/ARM``."""
        self._width, self._num_days, self._tracker = max(map(len, arms)), num_days, tracker
        self._so_far: dict[str, DaySums] = {}

    def __call__(self, day: ArmDay) -> None:
        """Show a day, and pass it on."""
        if not self._so_far:
            self._say("means over the days so far, of all assigned users and the whole feed:")
        self._so_far[day.arm] = self._so_far.get(day.arm, NOTHING) + day.sums
        self._say(self._line(day))
        self._track(day)

    def report_cached(self, arm: str, days: Iterator[ArmDay]) -> None:
        """Report the days of an arm from the cache to the tracker; they are not printed."""
        if arm not in self._so_far:
            for day in days:
                self._track(day)

    def _track(self, day: ArmDay) -> None:
        self._tracker.scalars(day.day, {f"{name}/{day.arm}": value for name, value in day.sums.values().items()})

    def _line(self, day: ArmDay) -> str:
        values = self._so_far[day.arm].values()

        def share(name: str) -> str:
            return f"{100 * values[name]:5.1f} %" if name in values else "    \N{EN DASH}  "

        return (
            f"day {day.day:{len(str(self._num_days))}}/{self._num_days}  {day.arm:{self._width}}  "
            f"watched {values.get('watch_minutes_per_user_day', 0.0):5.2f} min  positive {share('positive_rate')}  "
            f"novel {share('novel_impression_ratio')}  active {share('active_user_share')}"
        )

    def _say(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)  # above the progress bar, or one after the other where that is no terminal
