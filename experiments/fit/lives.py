"""Simulated lives, a cached stage each: a world lives under a policy, and the statistics of its log are kept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.fit.observation import Observation, observed
from experiments.fit.statistics import Statistics, statistics
from experiments.live.pipeline import burn_in, cluster
from experiments.live.reference_life import SLOTS, WARM_UP_DAYS, lived, warmed_up
from experiments.live.reference_policies import Greedy, Popular, Random
from experiments.plugins import outside_digests
from experiments.stages.stages import run_stage, world_content
from experiments.study.protocol import CONTROL, ExperimentConfig
from experiments.study.study import Runtime, Study
from sim.files import write_json
from sim.hidden.config import WorldConfig
from sim.hidden.world import World
from sim.log import InteractionLog
from sim.random import RandomStream

PRODUCTION = "production"
POLICIES: dict[str, type[Random]] = {policy.name: policy for policy in (Greedy, Popular, Random)}
"""Cheap logging policies, the certificate's; ``PRODUCTION`` is the config's recommender, retrained every day."""


@dataclass(frozen=True)
class Setting:
    """What all simulated lives of a fit have in common.

    Attributes:
        policy: a name of ``POLICIES``, or ``PRODUCTION``.
        production: its config.
        num_days: days that are looked at, after a warm-up of ``WARM_UP_DAYS``.
        has_watch, has_negatives: what the user's log has.
        cache_dir: where stages live.
    """

    policy: str
    production: dict[str, Any]
    num_days: int
    has_watch: bool
    has_negatives: bool
    cache_dir: Path


def simulated(setting: Setting, world: WorldConfig, seed: int) -> Observation:
    """Let a world live its warm-up and its days under the policy, and look at its days as at the user's log."""
    if setting.policy == PRODUCTION:
        study = _study(setting, world, seed)
        clustered = cluster(study, burn_in(study))
        log = InteractionLog.read(clustered.folder / "log.parquet")
    else:
        stream = RandomStream(seed, "fit")
        warm = warmed_up(World(world, seed), stream)
        log = lived(warm, POLICIES[setting.policy], setting.num_days, stream).log
    return observed(
        log, world.num_users, world.clusters.level_2, setting.num_days, setting.has_watch, setting.has_negatives
    )


def _study(setting: Setting, world: WorldConfig, seed: int) -> Study:
    """Production alone, from a cold start; its first days are the warm-up."""
    experiment = ExperimentConfig((CONTROL,), CONTROL, CONTROL, WARM_UP_DAYS + setting.num_days, 1, SLOTS, 1, "twins")
    return Study(seed, world, experiment, setting.production, {}, setting.cache_dir, Runtime(1, 1))


def life(setting: Setting, world: WorldConfig, seed: int) -> Statistics:
    """The statistics of a simulated life, from the cache if it has been lived before."""

    def make(folder: Path) -> None:
        write_json(folder / "statistics.json", statistics(simulated(setting, world, seed)))

    produced = setting.policy == PRODUCTION
    config = {
        "world": world_content(world),
        "seed": seed,
        "policy": setting.policy,
        "production": setting.production if produced else None,
        "plugins": outside_digests(setting.production) if produced else None,
        "days": setting.num_days,
        "has": [setting.has_watch, setting.has_negatives],
    }
    stage = run_stage(setting.cache_dir, "fit-life", make, config=config, inputs=[])
    content: Statistics = json.loads((stage.folder / "statistics.json").read_text(encoding="utf-8"))
    return content
