"""``interestlab tune``: the objective of one setting of an agent, on worlds that are used for tuning only."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import MinLen
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from agents.llm.settings import LLMSettings
from agents.novelty import novel_rows
from agents.processes import side_by_side
from experiments.live.arm_stages import arms_stage, read_arm
from experiments.live.pipeline import consumed_before
from experiments.live.prepare import check_runnable, prepare
from experiments.study.study import Study, check_study, resolved
from sim.arrays import BoolArray
from sim.files import write_json
from sim.log import AGENT, InteractionLog
from sim.records import Different, Expected, Whole, checked

ARM = "tuned"
"""The arm that the agent under test serves."""

Objective = Literal["novel_positives", "positives"]

Seeds = Annotated[
    tuple[Whole, ...], MinLen(1), Different, Expected("must be a list of different whole numbers such as [1000,1001]")
]


def objective_of(log: InteractionLog, consumed_before: BoolArray, objective: str) -> float:
    """The objective's value over all impressions of an agent's own slots.

    Args:
        log: the A/B of its arm.
        consumed_before: (N, M) clusters that each user had consumed from before.
        objective: the share that was positive: ``positives``; or positive and from clusters that the user had never
            consumed from: ``novel_positives``.
    """
    own = log.source == AGENT
    counted = log.positive & own
    if objective == "novel_positives":
        counted = counted & novel_rows(log, consumed_before)
    return float(counted.sum() / max(own.sum(), 1))


def check_tuning(config: DictConfig) -> tuple[list[Study], dict[str, LLMSettings]]:
    """The study of every tuning world, and the settings of the agent's table, if it reads one, or ``InvalidInput``."""
    plain = resolved(config)
    checked(Objective, plain.get("objective"), "objective")
    seeds = checked(Seeds, plain.get("seeds"), "seeds")
    checked(dict[str, Any], plain.get("experiment"), "experiment")
    with open_dict(config):
        config.agents = {ARM: config.agent}
        config.experiment.arms = ["control", ARM]
        config.experiment.control, config.experiment.reference = "control", ARM
        config.seed = seeds[0]
    study = check_study(config)
    settings = check_runnable(study, config)
    return [replace(study, seed=seed) for seed in seeds], settings


def objective_value(study: Study, settings: dict[str, LLMSettings], objective: str) -> float:
    """The objective in one tuning world; every stage is cached, so that trials share what they can."""
    ready = prepare(study, settings)
    stage = arms_stage(ready.study, (ARM,), ready.before, ready.clustered, ready.inputs.get(ARM, []))
    log, _ = read_arm(ready.study, ARM, stage)
    return objective_of(log, consumed_before(ready.clustered), objective)


def tune(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Run one setting in all tuning worlds, write ``trial.json``, and give the sweeper the mean to maximise."""
    started = time.monotonic()
    studies, settings = check_tuning(config)
    runtime, objective = studies[0].runtime, str(config.objective)
    alone = replace(runtime, workers=1)
    jobs = {
        study.seed: partial(objective_value, replace(study, runtime=alone), settings, objective) for study in studies
    }
    values_by_seed = dict(side_by_side(jobs, runtime.workers, runtime.backend))
    values = [values_by_seed[study.seed] for study in studies]
    trial: dict[str, Any] = {
        "overrides": overrides,
        "objective": objective,
        "value": float(np.mean(values)),
        "by_seed": dict(zip((str(study.seed) for study in studies), values, strict=True)),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(folder / "trial.json", trial)
    worlds = ", ".join(f"{value:.4f}" for value in values)
    print(f"{objective} {trial['value']:.4f} ({worlds}): {' '.join(overrides) or 'as configured'}")
    return float(trial["value"])


def run(config: DictConfig, folder: Path) -> float:
    """The command; its value is what a sweeper maximises."""
    return tune(config, folder, list(HydraConfig.get().overrides.task))
