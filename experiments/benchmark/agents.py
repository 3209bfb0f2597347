"""Costs of agents: training on the burn-in log and on a day, and milliseconds a request."""

import statistics
import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import MinLen
from omegaconf import DictConfig
from tqdm import tqdm

from agents.base import Agent
from experiments.benchmark.rows import Row, benchmark_row
from experiments.live.arm_stages import prepare_arms
from experiments.live.arms import Arm
from experiments.live.prepare import check_runnable, prepare
from experiments.study.study import check_study, resolved
from sim.arrays import IntArray
from sim.log import InteractionLog
from sim.random import RandomStream
from sim.records import Count, checked, limits

ROUNDS = 5
"""Rounds in which agents take turns, so that a change of the machine's speed hits all alike."""

AGAINST = "production"
"""Whom the ratios are against."""


def agent_rows(config: DictConfig) -> list[Row]:
    """Train every agent of the config on one burn-in, then time it; agents take turns.

    One thread. Requests are those of random users as they stand after the burn-in; each call asks for the
    experiment's exploration slots, of users whose histories no agent has just encoded. ``InvalidInput`` names an entry
    that is wrong.
    """
    batches, calls = _checked(config)
    study = check_study(config)
    ready = prepare(study, check_runnable(study, config))
    study = ready.study
    torch.set_num_threads(1)
    rows: list[Row] = []
    arms: dict[str, Arm] = {}
    for name in tqdm(study.experiment.arms, desc="training", unit="agent", dynamic_ncols=True):
        (arms[name],), log = prepare_arms(study, (name,), ready.before, ready.clustered)
        rows += _training(name, arms[name], log)
    agents = {AGAINST if arm.agent is None else name: arm.agent or arm.production for name, arm in arms.items()}
    records = {name: arm.records for name, arm in zip(agents, arms.values(), strict=True)}
    users = RandomStream(study.seed, "benchmark").generator()
    with tqdm(total=len(batches) * ROUNDS * len(agents), desc="serving", unit="turn", dynamic_ncols=True) as bar:
        for batch in batches:
            asked = [
                np.sort(users.choice(study.world.num_users, min(batch, study.world.num_users), replace=False))
                for _ in range(calls + ROUNDS)
            ]
            spent: dict[str, list[float]] = {name: [] for name in agents}
            for part in range(ROUNDS):
                for name, agent in agents.items():
                    turn = asked[part::ROUNDS]
                    spent[name] += _serving(agent, records[name], turn, study.experiment.exploration_slots)
                    bar.update()
            rows += [_serving_row(name, batch, spent) for name in agents]
    return rows


def _checked(config: DictConfig) -> tuple[list[int], int]:
    plain = resolved(config)
    batches = checked(Annotated[list[Count], MinLen(1)], plain.get("batches"), "batches")
    return batches, checked(Annotated[int, limits(ROUNDS)], plain.get("calls"), "calls")


def _training(name: str, arm: Arm, log: InteractionLog) -> list[Row]:
    """Seconds of ``fit`` on the burn-in and of ``update`` on its last day again; none of production alone."""
    if arm.agent is None:
        return []
    stream = RandomStream(0, "benchmark", name)
    begun = time.perf_counter()
    arm.agent.fit(arm.platform, log, stream.at("fit"))
    fitted = time.perf_counter()
    arm.agent.update(log.where(log.day == int(log.day.max())), stream.at("update"))
    updated = time.perf_counter()
    return [
        benchmark_row("agents", f"{name}: training on the burn-in", [fitted - begun], "s"),
        benchmark_row("agents", f"{name}: training on a day", [updated - fitted], "s"),
    ]


def _serving(agent: Agent, records: Any, asked: Sequence[IntArray], num_slots: int) -> list[float]:
    """Milliseconds of each call; the first, which may compute what holds for the day, is thrown away."""
    spent = []
    for number, user in enumerate(asked):
        requests = records.requests(user, num_slots)
        begun = time.perf_counter()
        agent.recommend(requests, RandomStream(number, "benchmark"))
        spent.append(1000 * (time.perf_counter() - begun))
    return spent[1:]


def _serving_row(name: str, batch: int, spent: dict[str, list[float]]) -> Row:
    """The median call's milliseconds a request, and that of the slowest hundredth of calls."""
    each = [value / batch for value in spent[name]]
    row = benchmark_row("agents", f"{name}: serving {batch:,} at once", each, "ms/request")
    row["p99"] = float(np.percentile(each, 99))
    if AGAINST in spent and name != AGAINST:
        row["against"] = AGAINST
        row["ratio"] = row["value"] / (statistics.median(spent[AGAINST]) / batch)
    return row
