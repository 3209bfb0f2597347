"""The arms of a comparison as cached stages, and their files."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from agents.making import build_agent
from experiments.live.arms import Arm, DayRecord, live
from experiments.oracles.privileged import reveal
from experiments.plugins import outside_digests
from experiments.stages.stages import Stage, run_stage, stage_digest, stage_folder
from experiments.study.diversion import arms_that_matter, assigned_users, corpus_of, offered
from experiments.study.study import Study, portable
from sim.clusters import InterestClusters
from sim.files import copy_file
from sim.hidden.world import World
from sim.log import InteractionLog
from sim.platform import Platform
from sim.random import RandomStream


def arms_stage(study: Study, names: tuple[str, ...], before: Stage, clustered: Stage, inputs: list[str]) -> Stage:
    """Simulate the A/B of one arm, or of several that share a world; runs in a worker process.

    Args:
        study, before, clustered: the study and its first stages.
        names: of the arms, as ``diversion.groups_of`` has them.
        inputs: digests of further stages that the arms' agents read, such as the LLM's table.
    """
    experiment = study.experiment

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arms, log = prepare_arms(study, names, before, clustered)
        record = live(arms, experiment.burn_in_days, experiment.days, folder / "days", lambda: None, burn_in=log)
        _write_arms(arms[0].world, record, folder)

    config, digests = _rests_on(study, names, before, clustered, inputs)
    return run_stage(study.cache_dir, _stage_name(study, names), make, config=config, inputs=digests)


def arms_folder(study: Study, names: tuple[str, ...], before: Stage, clustered: Stage, inputs: list[str]) -> Path:
    """Where ``arms_stage`` keeps the arms, or will; ``days`` in it, or in its partial folder, grows by day."""
    config, digests = _rests_on(study, names, before, clustered, inputs)
    name = _stage_name(study, names)
    return stage_folder(study.cache_dir, name, stage_digest(name, config, digests, __name__))


def _stage_name(study: Study, names: tuple[str, ...]) -> str:
    return f"arm-{names[0]}" if len(names) == 1 else f"arms-{study.experiment.diversion}"


def _rests_on(
    study: Study, names: tuple[str, ...], before: Stage, clustered: Stage, inputs: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Config and digests that the arms depend on."""
    experiment = study.experiment
    config = {
        "arms": [
            {
                "name": name,
                "agent": portable(study.agents.get(name)),
                "plugins": outside_digests(portable(study.agents.get(name))),
            }
            for name in names
        ],
        "experiment": {**asdict(experiment), "arms": arms_that_matter(experiment), "reference": "", "control": ""},
    }
    return config, [before.digest, clustered.digest, *inputs]


def prepare_arms(
    study: Study, names: tuple[str, ...], before: Stage, clustered: Stage
) -> tuple[list[Arm], InteractionLog]:
    """Arms that share a world, its records and production, at the end of the burn-in, and the burn-in log."""
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
            exploration_per_day=study.experiment.exploration_per_day,
            stream=RandomStream(study.seed, "arm", name),
            common_stream=study.common_stream,
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
    """An arm's log and truth as its stage wrote them, without those of arms that shared its world."""
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
