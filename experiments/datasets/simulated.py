"""The log of a simulated world as a data set: the part that a platform could publish."""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from experiments.datasets.dataset import LoggedDataset
from experiments.live.arm_stages import read_arm
from experiments.live.pipeline import burn_in, cluster
from experiments.live.prepare import check_runnable, prepare
from experiments.live.run_arms import run_arms
from experiments.stages.stages import Stage
from experiments.study.study import Study
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.log import InteractionLog


def burn_in_dataset(study: Study) -> LoggedDataset:
    """The burn-in's log under production, filed under the clusters made after it; both stages from the cache.

    The catalog is that of the end of the burn-in. Nothing of the users' latent state is in it.
    """
    before = burn_in(study)
    clustered = cluster(study, before)
    log = InteractionLog.read(clustered.folder / "log.parquet")
    return _dataset(study, "burn-in", log, before.folder / "state", clustered)


def arm_dataset(study: Study, config: DictConfig, arm: str) -> LoggedDataset:
    """An arm's log of the A/B, the agent's slots and production's; its stages from the cache of a comparison.

    Args:
        study, config: with that arm; the latter for the language models that its agents read tables of.
        arm: its name.

    Raises:
        InvalidInput: the study has no such arm.
    """
    if arm not in study.experiment.arms:
        raise InvalidInput("dataset.part", arm, f"must be null or one of {', '.join(study.experiment.arms)}")
    if study.experiment.diversion == "twins":  # there an arm doesn't depend on which others there are
        alone = replace(study.experiment, arms=(arm,), control=arm, reference=arm)
        study = replace(study, experiment=alone, agents={name: a for name, a in study.agents.items() if name == arm})
    ready = prepare(study, check_runnable(study, config))
    stage = run_arms(ready.study, ready.before, ready.clustered, ready.inputs, lambda _: None)[arm]
    last = study.experiment.burn_in_days + study.experiment.days - 1
    log, _ = read_arm(study, arm, stage)
    return _dataset(study, f"arm {arm}", log, stage.folder / "days" / f"day_{last:04}" / "state", ready.clustered)


def _dataset(study: Study, part: str, log: InteractionLog, state: Path, clustered: Stage) -> LoggedDataset:
    """A log with the catalog of the world that was saved in ``state``, after the log's last day."""
    world = study.build_world()
    world.load(state)
    return LoggedDataset(
        name=f"world of {study.world.num_interests} interests, seed {study.seed}, {part}",
        source="interestlab",
        num_users=study.world.num_users,
        log=log,
        catalog=world.catalog,
        clusters=InterestClusters.load(clustered.folder / "clusters.safetensors"),
    )
