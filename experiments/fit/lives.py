"""Simulated worlds, a cached stage each: a policy serves a world, and the statistics of its log are kept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.fit.observation import Observation, observed
from experiments.fit.statistics import Statistics, statistics
from experiments.live.pipeline import burn_in, cluster
from experiments.live.reference_life import SLOTS, WARM_UP_DAYS, simulate_policy, warmed_up
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
class SimulationSettings:
    """Settings of all simulated lives of a fit.

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


def simulated(simulation: SimulationSettings, world: WorldConfig, seed: int) -> Observation:
    """Simulate a world's warm-up and days under the policy; observe its days in the same way as the user's log."""
    if simulation.policy == PRODUCTION:
        study = _study(simulation, world, seed)
        clustered = cluster(study, burn_in(study))
        log = InteractionLog.read(clustered.folder / "log.parquet")
    else:
        stream = RandomStream(seed, "fit")
        warm = warmed_up(World(world, seed), stream)
        log = simulate_policy(warm, POLICIES[simulation.policy], simulation.num_days, stream).log
    return observed(
        log,
        world.num_users,
        world.clusters.level_2,
        simulation.num_days,
        simulation.has_watch,
        simulation.has_negatives,
    )


def _study(simulation: SimulationSettings, world: WorldConfig, seed: int) -> Study:
    """Production alone; its first days are the warm-up."""
    experiment = ExperimentConfig(
        (CONTROL,), CONTROL, CONTROL, WARM_UP_DAYS + simulation.num_days, 1, SLOTS, 1, None, "twins"
    )
    return Study(seed, world, experiment, simulation.production, {}, simulation.cache_dir, Runtime(1, 1))


def life(simulation: SimulationSettings, world: WorldConfig, seed: int) -> Statistics:
    """The statistics of a simulated life, from the cache if it was simulated before."""

    def make(folder: Path) -> None:
        write_json(folder / "statistics.json", statistics(simulated(simulation, world, seed)))

    produced = simulation.policy == PRODUCTION
    config = {
        "world": world_content(world),
        "seed": seed,
        "policy": simulation.policy,
        "production": simulation.production if produced else None,
        "plugins": outside_digests(simulation.production) if produced else None,
        "days": simulation.num_days,
        "has": [simulation.has_watch, simulation.has_negatives],
    }
    stage = run_stage(simulation.cache_dir, "fit-life", make, config=config, inputs=[])
    content: Statistics = json.loads((stage.folder / "statistics.json").read_text(encoding="utf-8"))
    return content
