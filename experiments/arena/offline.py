"""An agent at the requests that a logging policy met: its probabilities of what was logged, and its own truth there."""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from agents.base import Agent, Recommendations, Requests
from experiments.arena.logs import days_with_requests, read_day
from experiments.arena.rewards import rewards_of
from experiments.arena.settings import ArenaConfig
from experiments.arena.sides import logging_side, side_of
from experiments.live.arms import Arm
from experiments.off_policy.probabilities import drawn_slates, probabilities_of
from experiments.off_policy.reward_model import PastRates, features
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.arrays import FloatArray
from sim.log import InteractionLog
from sim.random import RandomStream


def offline_stage(
    study: Study,
    arena: ArenaConfig,
    logging: str,
    name: str,
    before: Stage,
    clustered: Stage,
    logged: Stage,
    fitted: Stage | None,
) -> Stage:
    """Evaluate an agent at the requests that a logging policy met.

    ``offline.safetensors`` holds, days one after the other, b requests in all:

        conditional, marginal (R, b, S): the agent's probabilities of the logged slates
        features              (b, S, F): mean features of what it shows
        truth                 (b, 3):    a slate's mean reward under the agent
        seen                  (b, 3):    the part of it that slots earn whose item the logging policy might have
                                         put there, given the agent's slots above: what IPS tends to as logs grow
        reach                 (b,):      the share of slots of which that is true
        novel                 (b,):      share of slots from clusters new to the user
    """

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arm, agent = side_of(study, name, before, clustered, fitted)
        other, policy = logging_side(study, logging, arena.logging[logging], before, clustered)
        past = InteractionLog.read(clustered.folder / "log.parquet")
        parts: dict[str, list[FloatArray]] = {}
        for day in days_with_requests(logged, study, arena):
            state = logged.folder / f"day_{day:04}"
            for each in (arm, other):
                _return_to(each, state, day)
            columns = _of_day(study, arena, (arm, agent, name), policy, read_day(logged, day), past)
            for column, values in columns.items():
                parts.setdefault(column, []).append(values)
        axis = {"conditional": 1, "marginal": 1}
        joined = {column: np.concatenate(values, axis=axis.get(column, 0)) for column, values in parts.items()}
        save_file(joined, folder / "offline.safetensors")

    config = {"agent": name, "draws": arena.draws, "lucks": arena.lucks}
    digests = [before.digest, clustered.digest, logged.digest, "" if fitted is None else fitted.digest]
    stage = f"arena-offline-{logging}-{name}"
    return run_stage(study.cache_dir, stage, make, config=config, inputs=digests)


def read_offline(stage: Stage) -> dict[str, FloatArray]:
    """What ``offline_stage`` wrote."""
    return dict(load_file(stage.folder / "offline.safetensors"))


def _return_to(arm: Arm, state: Path, day: int) -> None:
    """Restore an arm's world and records of a logged day, before anything was shown."""
    arm.world.load(state)
    arm.records.load(state / "records.safetensors", arm.world.catalog, arm.records.clusters)
    arm.world.begin_day(day)
    arm.records.begin_day(day, arm.world.catalog)


def _of_day(
    study: Study,
    arena: ArenaConfig,
    side: tuple[Arm, Agent, str],
    policy: Agent,
    logged: dict[str, FloatArray],
    past: InteractionLog,
) -> dict[str, FloatArray]:
    arm, agent, name = side
    records = arm.records
    requests = records.requests(logged["user"].astype(np.int64), arm.slots)
    rng = RandomStream(study.seed, "arena", name, requests.day)
    drawn = drawn_slates(agent, arm.platform, requests, rng, arena.draws, name)
    probabilities = [
        probabilities_of(agent, requests, items.astype(np.int64), drawn, rng, name) for items in logged["items"]
    ]
    rates = PastRates.of(past, records.cluster_of_item, records.clusters.num_clusters)
    own = [_own(arena, arm, policy, requests, slate, rng.at("luck", k)) for k, slate in enumerate(drawn)]
    columns = {column: np.mean([each[column] for each in own], axis=0) for column in own[0]}
    columns["conditional"] = np.stack([each.conditional for each in probabilities])
    columns["marginal"] = np.stack([each.marginal for each in probabilities])
    shown = [features(arm.platform, rates, requests, slate.items) for slate in drawn]
    columns["features"] = np.mean(shown, axis=0, dtype=np.float32)
    return columns


def _own(
    arena: ArenaConfig, arm: Arm, policy: Agent, requests: Requests, slate: Recommendations, stream: RandomStream
) -> dict[str, FloatArray]:
    """Rewards of the agent's own slates, and the part that a log of the policy can show."""
    user, platform = np.asarray(requests.user), arm.platform
    known, filed = platform.consumed_clusters(user), platform.cluster_of_item[slate.items]
    reward = np.mean(
        [
            rewards_of(arm.world.counterfactual_response(user, slate.items, stream.at(number)), known, filed)
            for number in range(arena.lucks)
        ],
        axis=0,
    )  # (B, S, 3)
    possible = policy.probability(requests, slate.items, slate.items, stream)
    assert possible is not None  # the log's stage has refused policies that do not say
    reachable = possible > 0  # (B, S)
    return {
        "truth": reward.sum(axis=1),
        "seen": (reward * reachable[:, :, None]).sum(axis=1),
        "reach": reachable.mean(axis=1),
        "novel": (~np.take_along_axis(known, filed.astype(np.int64), axis=1)).mean(axis=1),
    }
