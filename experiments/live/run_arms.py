"""The arms of a comparison side by side, with a progress bar, a line a day, and a tracker."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from agents.processes import side_by_side
from experiments.live.arm_stages import arms_folder, arms_stage
from experiments.live.pipeline import consumed_before
from experiments.live.watching import ArmDay, days_of, has_day
from experiments.stages.stages import Stage
from experiments.study.diversion import assigned_users, groups_of
from experiments.study.study import Study


def run_arms(
    study: Study, before: Stage, clustered: Stage, inputs: dict[str, list[str]], watch: Callable[[ArmDay], None]
) -> dict[str, Stage]:
    """Run every arm, ``runtime.workers`` at a time, with one progress bar over all arms' days.

    An arm's stage only simulates and writes; progress is computed here, from the days that it writes.

    Args:
        study, before, clustered: the study and its first stages.
        inputs: of each arm, digests of further stages that its agent reads.
        watch: called with each day of the arms that are not in the cache.
    """
    groups = groups_of(study.experiment)
    rests_on = {
        group: (group, before, clustered, [digest for name in group for digest in inputs.get(name, [])])
        for group in groups
    }
    jobs = {group: partial(arms_stage, study, *rests_on[group]) for group in groups}
    folders = {group: arms_folder(study, *rests_on[group]) for group in groups}
    stages = {group: job() for group, job in jobs.items() if folders[group].is_dir()}
    missing = {group: job for group, job in jobs.items() if group not in stages}
    num_days, num_cached = study.experiment.days, sum(map(len, stages))
    total = num_days * len(study.experiment.arms)
    with tqdm(total=total, initial=num_days * num_cached, desc="A/B", unit="arm-day", dynamic_ncols=True) as bar:

        def on_day(day: ArmDay) -> None:
            bar.set_postfix_str(day.arm, refresh=False)
            bar.update()
            watch(day)

        living = {group: _Days(study, group, clustered, folders[group]) for group in missing}

        def look(running: list[tuple[str, ...]]) -> None:
            for group in running:
                for day in living[group].new():
                    on_day(day)

        runtime = study.runtime
        for group, stage in side_by_side(missing, runtime.workers, runtime.backend, watch=look):
            stages[group] = stage
            look([group])
    return {name: stages[group] for group in groups for name in group}


def arm_days(study: Study, name: str, clustered: Stage, folder: Path) -> Iterator[ArmDay]:
    """The days of an arm whose stage is, or will be, in ``folder``."""
    experiment = study.experiment
    users = assigned_users(study, name)
    first, num = experiment.burn_in_days, experiment.days
    return days_of(name, users, consumed_before(clustered), folder / "days", first, num)


class _Days:
    """Days of arms that share a world, as they come."""

    def __init__(self, study: Study, names: tuple[str, ...], clustered: Stage, folder: Path) -> None:
        self._each = [arm_days(study, name, clustered, folder) for name in names]
        self._folder, self._next = folder / "days", study.experiment.burn_in_days

    def new(self) -> Iterator[ArmDay]:
        """Those that were not given yet."""
        while has_day(self._folder, self._next):
            yield from map(next, self._each)
            self._next += 1
