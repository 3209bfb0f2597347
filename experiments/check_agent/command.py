"""``interestlab check-agent``: does an agent keep the contract? What is wrong, and how to mend it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from agents.base import Agent, InteractionLog, Platform, RandomStream, Requests
from agents.check import CHECKS, Finding, check_source, examine
from agents.check_source import targets
from agents.making import build_agent
from agents.random import RandomAgent
from agents.wall import TRUSTED
from experiments.live.arms import Arm, run_day
from experiments.plugins import choices
from experiments.study.study import check_agent_config, resolved
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping
from sim.hidden.prior import first_records, live_prior
from sim.hidden.world import World
from sim.platform import PlatformRecords
from sim.records import Count, Whole, checked, limits

_BATCHES = {1: 200, 1000: 20}
"""Requests that are answered together, and how many calls of that size are timed."""

_LEARNED_FROM = 300
"""Users whose log agents are trained on; the others' histories only make large batches of requests."""


@dataclass(frozen=True)
class Setting:
    """A platform with a past, on which agents can be tried.

    Attributes:
        records: the platform's book-keeping.
        platform: what agents see of it.
        log: impressions before today, of the first users.
        production: a trained production recommender.
    """

    records: PlatformRecords
    platform: Platform
    log: InteractionLog
    production: Agent


def prepare(world_config: WorldConfig, production: dict[str, Any], seed: int, days: int, slots: int) -> Setting:
    """Let users live ``days`` days under random recommendations, and train production on their log."""
    world, luck = World(world_config, seed), RandomStream(seed, "check")
    records = first_records(world)
    prior = live_prior(world, records)
    platform = Platform(records)
    serving = RandomAgent()
    serving.fit(platform, InteractionLog.concatenate([]), luck)
    users = np.arange(world_config.num_users)
    arm = Arm("check", world, records, platform, serving, None, users, slots, 0, luck, luck)
    log = InteractionLog.concatenate([prior, *(run_day([arm], day).log for day in range(days))])
    log = log.where(log.user < _LEARNED_FROM)
    world.begin_day(days)
    records.begin_day(days, world.catalog)
    trained = build_agent(production, "production")
    trained.fit(platform, log, luck.at("production"))
    return Setting(records, platform, log, trained)


def latency(agent: Agent, records: PlatformRecords, rng: RandomStream, slots: int) -> Finding:
    """How long requests take, alone and many at once; informative, since it depends on the machine."""
    told = []
    for size, calls in _BATCHES.items():
        size = min(size, records.num_users)
        seconds = []
        for call in range(calls):
            start = call * size % (records.num_users - size + 1)
            requests: Requests = records.requests(np.arange(start, start + size), slots)
            began = time.perf_counter()
            agent.recommend(requests, rng.at("latency", size, call))
            seconds.append(time.perf_counter() - began)
        median, late = (1000 * float(np.quantile(seconds, share)) for share in (0.5, 0.99))
        each = f" ({median / size:.2g} ms a request)" if size > 1 else ""
        told.append(f"{size} at once: median {median:.3g} ms{each}, p99 {late:.3g} ms")
    return Finding("latency", "info", "; ".join(told))


def check(config: DictConfig, name: str) -> list[Finding]:
    """Run all checks of one agent.

    Raises:
        InvalidInput: an entry is out of range, or the agent needs what only an experiment makes.
    """
    plain = resolved(config)
    seed, slots = (checked(each, plain.get(name), name) for name, each in (("seed", Whole), ("slots", Count)))
    days = checked(Annotated[int, limits(2)], plain.get("days"), "days")
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    production = check_agent_config(plain.get("production"), "production")
    for key in sorted(OmegaConf.missing_keys(config.agent)):
        raise InvalidInput(
            key,
            "???",
            f"only an experiment fills this in: give {key}=..., or let "
            f"`interestlab compare experiment.arms=[control,{name}]` check every slate as it runs",
        )
    agent = check_agent_config(plain["agent"], "agent")
    for target in targets(agent):
        if target.partition(".")[0] in TRUSTED:
            raise InvalidInput(
                "agent", name, f"is allowed to see the truth ({target}), which the contract forbids others"
            )
    torch.set_num_threads(1)
    with tqdm(total=len(CHECKS) + 2, desc="log", unit="check", leave=False, dynamic_ncols=True) as bar:

        def on_check(check_name: str) -> None:
            bar.update()
            bar.set_description(check_name)

        setting = prepare(world, production, seed, days, slots)
        rng = RandomStream(seed, "check-agent")
        found = [check_source(agent)]
        found += examine(
            lambda: build_agent(agent, name), setting.platform, setting.log, rng, setting.production, on_check=on_check
        )
        on_check("latency")
        if all(finding.verdict != "fail" for finding in found if finding.check in ("trains", "slates", "wall")):
            trained = build_agent(agent, name)
            trained.bind(setting.production)
            trained.fit(setting.platform, setting.log, rng.at("fit"))
            found.append(latency(trained, setting.records, rng, slots))
    return found


def table(name: str, target: str, found: list[Finding]) -> str:
    """What is printed: one line a check, then how many passed."""
    words = {"pass": "ok", "fail": "FAULT", "skip": "skipped", "info": "info"}
    lines = [f"  {finding.check:13}{words[finding.verdict]:9} {finding.message}" for finding in found]
    count = {verdict: sum(finding.verdict == verdict for finding in found) for verdict in words}
    summary = f"{name}: {count['pass']} checks ok, {count['fail']} faults, {count['skip']} skipped"
    return "\n".join([f"{name} ({target})", *lines, summary])


def run(config: DictConfig, folder: Path) -> None:
    """The command, which writes nothing; its exit status is 1 if the agent has a fault."""
    if config.get("agent") is None:
        raise InvalidInput("agent", None, f"say which, as in agent=counts; known are {', '.join(choices('agent'))}")
    name = str(HydraConfig.get().runtime.choices["agent"])
    found = check(config, name)
    print(table(name, str(config["agent"]["_target_"]), found))
    if any(finding.verdict == "fail" for finding in found):
        raise SystemExit(1)
