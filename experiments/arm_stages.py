"""The arms of a comparison as cached stages, and what they leave behind."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from multiprocessing import Manager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from experiments.arms import Arm, DayRecord, live
from experiments.diversion import arms_that_matter, assigned_users, corpus_of, groups_of, offered
from experiments.oracle import reveal
from experiments.pipeline import RECOMMENDERS, consumed_before
from experiments.plugins import outside_digests
from experiments.stages import Stage, run_stage
from experiments.study import Study, build_agent, portable
from experiments.watching import ArmDay, days_of
from experiments.workers import Report, drained, pool_of
from sim.clusters import InterestClusters
from sim.files import copy_file
from sim.log import InteractionLog
from sim.platform import Platform
from sim.random import RandomStream
from sim.world import World


def arms_stage(
    study: Study,
    names: tuple[str, ...],
    before: Stage,
    clustered: Stage,
    inputs: list[str],
    report: Callable[[ArmDay], None],
) -> Stage:
    """Let one arm, or several that share a world, live through the A/B; runs in a worker process.

    Args:
        study: the study.
        names: of the arms, as ``diversion.groups_of`` has them.
        before: the burn-in.
        clustered: the clusters stage.
        inputs: digests of further stages that the arms' agents read, such as the LLM's table.
        report: called after each day of each arm.
    """
    experiment = study.experiment

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arms, log = prepare_arms(study, names, before, clustered)
        days = [lived(study, name, clustered, folder) for name in names]

        def on_day() -> None:
            for of_arm in days:
                report(next(of_arm))

        record = live(arms, experiment.burn_in_days, experiment.days, folder / "days", on_day, burn_in=log)
        _write_arms(arms[0].world, record, folder)

    config = {
        "arms": [
            {
                "name": name,
                "agent": portable(study.agents.get(name)),
                "plugins": outside_digests(study.agents.get(name)),
            }
            for name in names
        ],
        "experiment": {**asdict(experiment), "arms": arms_that_matter(experiment), "reference": "", "control": ""},
    }
    digests = [before.digest, clustered.digest, *inputs]
    stage = f"arm-{names[0]}" if len(names) == 1 else f"arms-{experiment.diversion}"
    return run_stage(study.cache_dir, stage, make, config=config, inputs=digests, code=RECOMMENDERS)


def prepare_arms(
    study: Study, names: tuple[str, ...], before: Stage, clustered: Stage
) -> tuple[list[Arm], InteractionLog]:
    """Arms that share a world, its records and production, on the eve of the A/B, and the burn-in log."""
    world = study.build_world()
    world.load(before.folder / "state")
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    records = world.new_records(clusters)
    corpus = corpus_of(study, names[0])
    records.load(clustered.folder / "records.safetensors", offered(corpus, world.catalog), clusters)
    platform = Platform(records)
    production = build_agent(study.production, "production")
    production.load(before.folder / "state" / "production", platform)
    arms = []
    for name in names:
        agent = None
        if name in study.agents:
            agent = build_agent(study.agents[name], name)
            agent.bind(production)
        arm = Arm(
            name=name,
            world=world,
            records=records,
            platform=platform,
            production=production,
            agent=agent,
            users=assigned_users(study, name),
            slots=study.experiment.slots,
            exploration_slots=study.experiment.exploration_slots,
            stream=RandomStream(study.seed, "arm", name),
            luck=study.luck,
            corpus=corpus,
        )
        reveal(arm.agent, arm.world)
        arms.append(arm)
    return arms, InteractionLog.read(clustered.folder / "log.parquet")


def _write_arms(world: World, record: DayRecord, folder: Path) -> None:
    users = record.log.user[record.discovered]
    save_file(
        {
            "dormant": record.dormant,
            "discoveries": np.bincount(users, minlength=world.config.num_users),
            "num_items": np.array([world.catalog.num_items]),
        },
        folder / "truth.safetensors",
    )
    record.log.write(folder / "log.parquet")


def read_arm(study: Study, name: str, stage: Stage) -> tuple[InteractionLog, dict[str, Any]]:
    """An arm's log and truth as its stage wrote them, without those of arms that lived beside it."""
    log, truth = InteractionLog.read(stage.folder / "log.parquet"), load_file(stage.folder / "truth.safetensors")
    if study.experiment.diversion != "shared":
        return log, truth
    own = np.flatnonzero(np.isin(log.user, assigned_users(study, name)))
    return log.where(own), {**truth, "dormant": truth["dormant"][own]}


def write_log(study: Study, name: str, stage: Stage, path: Path) -> None:
    """Write an arm's log as Parquet, whole or not at all."""
    if study.experiment.diversion == "shared":
        read_arm(study, name, stage)[0].write(path)
    else:
        copy_file(stage.folder / "log.parquet", path)


def lived(study: Study, name: str, clustered: Stage, folder: Path) -> Iterator[ArmDay]:
    """The days of an arm whose stage is, or is being made, in ``folder``."""
    experiment = study.experiment
    users = assigned_users(study, name)
    first, num = experiment.burn_in_days, experiment.days
    return days_of(name, users, consumed_before(clustered), folder / "days", first, num)


def run_arms(
    study: Study, before: Stage, clustered: Stage, inputs: dict[str, list[str]], watch: Callable[[ArmDay], None]
) -> dict[str, Stage]:
    """Run every arm, ``runtime.workers`` at a time, with one progress bar over all arms' days.

    ``watch`` hears of each day of the arms that were not found in the cache.
    """
    arms = study.experiment.arms
    groups = groups_of(study.experiment)
    read = {group: [digest for name in group for digest in inputs.get(name, [])] for group in groups}
    call = partial(arms_stage, study, before=before, clustered=clustered)
    with tqdm(total=len(arms) * study.experiment.days, desc="A/B", unit="arm-day", dynamic_ncols=True) as bar:

        def on_day(day: ArmDay) -> None:
            bar.set_postfix_str(day.arm, refresh=False)
            bar.update()
            watch(day)

        if study.runtime.workers == 1:
            return _by_arm({group: call(group, inputs=read[group], report=on_day) for group in groups})
        with Manager() as manager, pool_of(study.runtime.workers) as pool:
            ticks, stop = manager.Queue(), manager.Event()
            report = Report(ticks, stop)
            jobs = {group: pool.submit(call, group, inputs=read[group], report=report) for group in groups}
            try:
                while not all(job.done() for job in jobs.values()):
                    for day in drained(ticks):
                        on_day(day)
                    for job in jobs.values():
                        if job.done():
                            job.result()  # raises what the arm raised
                for day in drained(ticks):
                    on_day(day)
            except BaseException:
                stop.set()
                for job in jobs.values():
                    job.cancel()
                raise
            return _by_arm({group: job.result() for group, job in jobs.items()})


def _by_arm(stages: dict[tuple[str, ...], Stage]) -> dict[str, Stage]:
    return {name: stage for group, stage in stages.items() for name in group}
