"""``python -m records.statistics_record [overrides]``: how often intervals hold, as tables for docs/statistics.md.

Takes the overrides of a comparison (world=..., seed=..., experiment.burn_in_days=...). Coverage is on drawn numbers
with planted truth. The A/A splits are of one simulated log: production alone over the burn-in, of which the first
half of the days is the time before the experiment and the second half the experiment.
"""

import sys

import numpy as np
from hydra import compose, initialize_config_module
from tqdm import tqdm

from experiments.command import clear_errors
from experiments.inference.calibration import (
    COVERAGE,
    NOMINAL,
    binomial_bounds,
    covered,
    false_alarms,
    peeking_alarms,
)
from experiments.live import pipeline
from experiments.measures.metrics import METRICS, ArmRun, Design, user_sums
from experiments.measures.over_time import burn_in_sums, sums_until
from experiments.results_schema import MetricName
from experiments.study.study import Study, check_study
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.random import RandomStream

TRIALS, SPLITS, WATCHED_SPLITS = 2000, 1000, 500
"""Draws behind a coverage, A/A splits behind a rate of false alarms, and behind one of looking every day."""

WATCHED: tuple[MetricName, ...] = ("watch_minutes_per_user_day", "active_user_share")


def a_a_of(log: InteractionLog, num_users: int, num_days: int) -> tuple[ArmRun, Design]:
    """One arm and its past, from one log cut in the middle; ``InvalidInput`` if it has fewer than two days."""
    if num_days < 2:
        raise InvalidInput("experiment.burn_in_days", num_days, "must be at least 2, to be cut in the middle")
    first = num_days // 2
    before, now = log.where(log.day < first), log.where(log.day >= first)
    num_clusters = int(log.cluster.max()) + 1
    consumed = np.zeros((num_users, num_clusters), dtype=bool)
    consumed[before.user[before.consumed], before.cluster[before.consumed]] = True
    design = Design(
        num_users=num_users,
        first_day=first,
        num_days=num_days - first,
        diversion="split",
        slots=0,
        exploration_slots=0,
        num_clusters=num_clusters,
        consumed_before=consumed,
        burn_in=before,
        control="production",
        reference="production",
    )
    nothing = np.zeros(num_users, dtype=np.int64)
    return ArmRun("production", now, np.arange(num_users), np.zeros(len(now), dtype=bool), nothing), design


def coverage_table(trials: int, stream: RandomStream) -> list[str]:
    """Markdown rows of ``calibration.COVERAGE``."""
    low, high = binomial_bounds(trials, NOMINAL[0])
    lines = [f"| 95 % interval of | held, of {trials:,} ({low:,} to {high:,} expected) |", "|---|---:|"]
    for name in tqdm(COVERAGE, desc="coverage", dynamic_ncols=True):
        held = covered(name, trials, stream)
        lines.append(f"| {name} | {held:,} ({held / trials:.1%}) |")
    return lines


def a_a_tables(study: Study, splits: int, watched_splits: int) -> list[str]:
    """Markdown rows of false alarms, metric by metric, on the burn-in of a study."""
    log = InteractionLog.read(pipeline.burn_in(study).folder / "log.parquet")
    run, design = a_a_of(log, study.world.num_users, study.experiment.burn_in_days)
    sums, before, stream = user_sums(run, design), burn_in_sums(design), RandomStream(study.seed, "a/a")
    low, high = binomial_bounds(splits, NOMINAL[1])
    lines = [
        f"| metric | false alarms of {splits:,} ({low} to {high} expected) | with CUPED | variance taken away |",
        "|---|---:|---:|---:|",
    ]
    for metric in tqdm(METRICS, desc="A/A", dynamic_ncols=True):
        if metric.name not in sums or not sums[metric.name].numerator.any():  # nothing in production alone
            continue
        found = false_alarms(sums[metric.name], before[metric.name], splits, stream)
        lines.append(f"| {metric.title} | {found.plain} | {found.cuped} | {found.variance_reduction:.0%} |")
    most = binomial_bounds(watched_splits, NOMINAL[1])[1]
    days = f"looked at on each of {design.num_days} days"
    lines += [
        "",
        f"| {days} | intervals for one look, of {watched_splits} | running (at most {most}) |",
        "|---|---:|---:|",
    ]
    until = sums_until(run, design)
    for metric in METRICS:
        if metric.name in WATCHED:
            fixed, running = peeking_alarms(until[metric.name], watched_splits, stream)
            lines.append(f"| {metric.title} | {fixed} | {running} |")
    return lines


def main() -> None:
    """Print both tables."""
    with clear_errors("statistics_record"), initialize_config_module("conf", version_base="1.3"):
        study = check_study(compose("compare", ["experiment.arms=[control]", *sys.argv[1:]]))
        print("\n".join(coverage_table(TRIALS, RandomStream(study.seed, "coverage"))), end="\n\n")
        print("\n".join(a_a_tables(study, SPLITS, WATCHED_SPLITS)))


if __name__ == "__main__":
    main()
