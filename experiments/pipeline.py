"""The stages of a comparison, each cached: burn-in, clusters, fine-tuning, table, arms."""

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

from experiments.arms import Arm, DayRecord, live, save_state
from experiments.diversion import arms_that_matter, assigned_users, corpus_of, groups_of
from experiments.oracle import reveal
from experiments.plugins import outside_digests
from experiments.stages import Stage, run_stage
from experiments.study import Study, build_agent
from experiments.watching import ArmDay, days_of
from experiments.workers import Report, drained, pool_of
from sim.arrays import BoolArray
from sim.authored import authored_digest
from sim.clustering import build_clusters
from sim.clusters import InterestClusters
from sim.files import copy_file
from sim.log import InteractionLog
from sim.platform import Platform
from sim.population import Population
from sim.random import RandomStream
from sim.world import World

_RECOMMENDERS = (
    "sim",
    "agents",
    "experiments/arms.py",
    "experiments/diversion.py",
    "experiments/impressions.py",
    "experiments/oracle.py",
    "experiments/pipeline.py",
    "experiments/study.py",
    "experiments/wall.py",
)

TRAFFIC_PRIOR = 3.0
"""Traffic that every item starts with before clustering, in items of average traffic. Without it the
few items that half of all watches go to would fill clusters by themselves, with nothing new to show."""


def burn_in(study: Study) -> Stage:
    """Production serves everyone for ``burn_in_days`` days, from a cold start on day 0."""
    days = study.experiment.burn_in_days

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        world = study.build_world()
        items = np.arange(world.catalog.num_items)
        clusters = build_clusters(world.catalog, items, np.ones(len(items)), study.world.clusters)
        records = study.build_records(world, clusters)
        arm = Arm(
            name="burn-in",
            world=world,
            records=records,
            platform=Platform(records),
            production=build_agent(study.production, "production"),
            agent=None,
            users=np.arange(study.world.num_users),
            slots=study.experiment.slots,
            exploration_slots=0,
            stream=RandomStream(study.seed, "burn-in"),
            luck=study.luck,
        )
        nothing = InteractionLog.concatenate([])
        arm.production.fit(arm.platform, nothing, study.luck.at("production fit"))
        with tqdm(total=days, desc="burn-in", unit="day", dynamic_ncols=True) as bar:
            record = live([arm], 0, days, folder / "days", lambda: bar.update())
        record.log.write(folder / "log.parquet")
        save_state([arm], folder / "state")

    config = {
        "seed": study.seed,
        # The authored files' content counts, not where they are.
        "world": {**asdict(study.world), "taxonomy": authored_digest(study.world.taxonomy)},
        "production": study.production,
        "plugins": outside_digests(study.production),
        "days": days,
        "slots": study.experiment.slots,
    }
    return run_stage(study.cache_dir, "burn-in", make, config=config, inputs=[], code=_RECOMMENDERS)


def cluster(study: Study, before: Stage) -> Stage:
    """Cluster the live items anew, now that there is traffic, and refile the log under the new clusters."""

    def make(folder: Path) -> None:
        world = study.build_world()
        world.load(before.folder / "state")
        log = InteractionLog.read(before.folder / "log.parquet")
        catalog = world.catalog
        items = np.flatnonzero(catalog.alive(world.day))
        watches = np.bincount(log.item[log.consumed], minlength=catalog.num_items)[items]
        traffic = TRAFFIC_PRIOR * watches.mean() + watches
        clusters = build_clusters(catalog, items, traffic, study.world.clusters)
        records = study.build_records(world, clusters)
        records.load(before.folder / "state" / "records.safetensors", catalog, clusters)
        records.adopt(catalog, clusters)
        refiled = log.with_clusters(records.cluster_of_item)
        records.mark_consumed(refiled.user[refiled.consumed], refiled.cluster[refiled.consumed])
        clusters.save(folder / "clusters.safetensors")
        refiled.write(folder / "log.parquet")
        records.save(folder / "records.safetensors")

    config = {"clusters": asdict(study.world.clusters)}
    code = ("sim", "experiments/pipeline.py")
    return run_stage(study.cache_dir, "clusters", make, config=config, inputs=[before.digest], code=code)


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
                "agent": _portable(study.agents.get(name)),
                "plugins": outside_digests(study.agents.get(name)),
            }
            for name in names
        ],
        "experiment": {**asdict(experiment), "arms": arms_that_matter(experiment), "reference": "", "control": ""},
    }
    digests = [before.digest, clustered.digest, *inputs]
    stage = f"arm-{names[0]}" if len(names) == 1 else f"arms-{experiment.diversion}"
    return run_stage(study.cache_dir, stage, make, config=config, inputs=digests, code=_RECOMMENDERS)


def _portable(agent: dict[str, Any] | None) -> dict[str, Any] | None:
    """An agent's config without the table's path, which the stage's inputs stand for."""
    if agent is None:
        return None
    return {
        key: _portable(value) if isinstance(value, dict) else value for key, value in agent.items() if key != "table"
    }


def prepare_arms(
    study: Study, names: tuple[str, ...], before: Stage, clustered: Stage
) -> tuple[list[Arm], InteractionLog]:
    """Arms that share a world, its records and production, on the eve of the A/B, and the burn-in log."""
    world = study.build_world()
    world.load(before.folder / "state")
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    records = study.build_records(world, clusters)
    corpus = corpus_of(study, names[0])
    catalog = world.catalog if corpus is None else corpus.offered(world.catalog)
    records.load(clustered.folder / "records.safetensors", catalog, clusters)
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


def population_after(before: Stage) -> Population:
    """Hidden truth: every user on the eve of the A/B, for what is reported; no recommender is given it."""
    return Population.load(before.folder / "state" / "population.safetensors")


def consumed_before(clustered: Stage) -> BoolArray:
    """(N, M) bool: the level-2 clusters that each user consumed from before the A/B."""
    return np.asarray(load_file(clustered.folder / "records.safetensors")["consumed"])


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
