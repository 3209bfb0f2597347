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
from experiments.oracle import reveal
from experiments.plugins import outside_digests
from experiments.protocol import ExperimentConfig
from experiments.stages import Stage, run_stage
from experiments.study import Study, build_agent
from experiments.watching import ArmDay, days_of
from experiments.workers import Report, drained, pool_of
from sim.arrays import BoolArray, IntArray
from sim.authored import authored_digest
from sim.clustering import build_clusters
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from sim.platform import Platform
from sim.population import Population
from sim.random import RandomStream

_RECOMMENDERS = (
    "sim",
    "agents",
    "experiments/arms.py",
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
            record = live(arm, 0, days, folder / "days", lambda: bar.update())
        record.log.write(folder / "log.parquet")
        save_state(arm, folder / "state")

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


def assigned_users(study: Study, arm: str) -> IntArray:
    """(U,) int64: everybody in ``twins``; in ``split`` each user is in one arm, drawn by a named stream."""
    users = np.arange(study.world.num_users)
    arms = study.experiment.arms
    if study.experiment.diversion == "twins":
        return users
    place = (study.luck.at("diversion").uniform(users, 1)[:, 0] * len(arms)).astype(np.int64)
    return np.flatnonzero(place == arms.index(arm))


def arm_stage(
    study: Study, name: str, before: Stage, clustered: Stage, inputs: list[str], report: Callable[[ArmDay], None]
) -> Stage:
    """Let one arm live through the A/B; runs in a worker process.

    Args:
        study: the study.
        name: the arm.
        before: the burn-in.
        clustered: the clusters stage.
        inputs: digests of further stages that the arm's agent reads, such as the LLM's table.
        report: called after each day.
    """
    experiment = study.experiment

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arm, log = prepare_arm(study, name, before, clustered)
        days = lived(study, name, clustered, folder)
        record = live(
            arm, experiment.burn_in_days, experiment.days, folder / "days", lambda: report(next(days)), burn_in=log
        )
        _write_arm(arm, record, folder)

    config = {
        "name": name,
        "agent": _portable(study.agents.get(name)),
        "plugins": outside_digests(study.agents.get(name)),
        "experiment": {**asdict(experiment), "arms": _arms_that_matter(experiment), "reference": "", "control": ""},
    }
    digests = [before.digest, clustered.digest, *inputs]
    return run_stage(study.cache_dir, f"arm-{name}", make, config=config, inputs=digests, code=_RECOMMENDERS)


def _arms_that_matter(experiment: ExperimentConfig) -> list[str]:
    """In ``twins`` an arm doesn't depend on which others there are; in ``split`` its users do."""
    return [] if experiment.diversion == "twins" else list(experiment.arms)


def _portable(agent: dict[str, Any] | None) -> dict[str, Any] | None:
    """An agent's config without the table's path, which the stage's inputs stand for."""
    if agent is None:
        return None
    return {
        key: _portable(value) if isinstance(value, dict) else value for key, value in agent.items() if key != "table"
    }


def prepare_arm(study: Study, name: str, before: Stage, clustered: Stage) -> tuple[Arm, InteractionLog]:
    """The arm as it is on the eve of the A/B, and the burn-in log."""
    world = study.build_world()
    world.load(before.folder / "state")
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    records = study.build_records(world, clusters)
    records.load(clustered.folder / "records.safetensors", world.catalog, clusters)
    platform = Platform(records)
    production = build_agent(study.production, "production")
    production.load(before.folder / "state" / "production", platform)
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
    )
    reveal(arm.agent, arm.world)
    return arm, InteractionLog.read(clustered.folder / "log.parquet")


def _write_arm(arm: Arm, record: DayRecord, folder: Path) -> None:
    users = record.log.user[record.discovered]
    save_file(
        {
            "dormant": record.dormant,
            "discoveries": np.bincount(users, minlength=arm.world.config.num_users),
            "num_items": np.array([arm.world.catalog.num_items]),
        },
        folder / "truth.safetensors",
    )
    record.log.write(folder / "log.parquet")


def read_arm(stage: Stage) -> tuple[InteractionLog, dict[str, Any]]:
    """An arm's log and truth as its stage wrote them."""
    return InteractionLog.read(stage.folder / "log.parquet"), load_file(stage.folder / "truth.safetensors")


def population_after(before: Stage) -> Population:
    """Hidden truth: every user on the eve of the A/B, for what is reported; no recommender is given it."""
    return Population.load(before.folder / "state" / "population.safetensors")


def consumed_before(clustered: Stage) -> BoolArray:
    """(N, M) bool: the level-2 clusters that each user consumed from before the A/B."""
    return np.asarray(load_file(clustered.folder / "records.safetensors")["consumed"])


def lived(study: Study, name: str, clustered: Stage, folder: Path) -> Iterator[ArmDay]:
    """The days of an arm whose stage is, or is being made, in ``folder``."""
    experiment = study.experiment
    users = len(assigned_users(study, name))
    first, num = experiment.burn_in_days, experiment.days
    return days_of(name, users, consumed_before(clustered), folder / "days", first, num)


def run_arms(
    study: Study, before: Stage, clustered: Stage, inputs: dict[str, list[str]], watch: Callable[[ArmDay], None]
) -> dict[str, Stage]:
    """Run every arm, ``runtime.workers`` at a time, with one progress bar over all arms' days.

    ``watch`` hears of each day of the arms that were not found in the cache.
    """
    arms = study.experiment.arms
    call = partial(arm_stage, study, before=before, clustered=clustered)
    with tqdm(total=len(arms) * study.experiment.days, desc="A/B", unit="arm-day", dynamic_ncols=True) as bar:

        def on_day(day: ArmDay) -> None:
            bar.set_postfix_str(day.arm, refresh=False)
            bar.update()
            watch(day)

        if study.runtime.workers == 1:
            return {name: call(name, inputs=inputs.get(name, []), report=on_day) for name in arms}
        with Manager() as manager, pool_of(study.runtime.workers) as pool:
            ticks, stop = manager.Queue(), manager.Event()
            report = Report(ticks, stop)
            jobs = {name: pool.submit(call, name, inputs=inputs.get(name, []), report=report) for name in arms}
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
            return {name: job.result() for name, job in jobs.items()}
