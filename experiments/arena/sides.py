"""Frozen agents, fitted on the burn-in, and a simulation in which one of them serves."""

from pathlib import Path
from typing import Any

import torch

from agents.base import Agent, Requests
from agents.making import build_agent
from experiments.live.arm_stages import prepare_arms
from experiments.live.arms import Arm, checked_slates
from experiments.plugins import outside_digests
from experiments.stages.stages import Stage, run_stage
from experiments.study.protocol import CONTROL
from experiments.study.study import Study, portable
from sim.arrays import IntArray
from sim.files import folder_written_whole
from sim.hidden.prior import with_own_requests
from sim.hidden.serving_day import FilledSlates, Served, serving_day
from sim.random import RandomStream


def fit_stage(study: Study, name: str, before: Stage, clustered: Stage, inputs: list[str]) -> Stage:
    """Fit an agent on the burn-in log as an arm of the A/B would, and keep what it learned."""

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        (arm,), log = prepare_arms(study, (name,), before, clustered)
        assert arm.agent is not None
        arm.agent.fit(arm.platform, log, arm.stream.at("fit"))
        with folder_written_whole(folder / "agent") as unfinished:
            arm.agent.save(unfinished)

    agent = portable(study.agents[name])
    config = {"name": name, "agent": agent, "plugins": outside_digests(agent)}
    digests = [before.digest, clustered.digest, *inputs]
    return run_stage(study.cache_dir, f"arena-fit-{name}", make, config=config, inputs=digests)


def side_of(study: Study, name: str, before: Stage, clustered: Stage, fitted: Stage | None) -> tuple[Arm, Agent]:
    """A twin world at the end of the burn-in, and an agent in it as it was fitted; ``control`` is production."""
    (arm,), _ = prepare_arms(study, (name,), before, clustered)
    if name == CONTROL or fitted is None:
        return arm, arm.production
    assert arm.agent is not None
    arm.agent.load(fitted.folder / "agent", arm.platform)
    return arm, arm.agent


def logging_side(
    study: Study, name: str, entries: dict[str, Any], before: Stage, clustered: Stage
) -> tuple[Arm, Agent]:
    """A twin world at the end of the burn-in, and the logging policy ``name`` in it.

    Args:
        entries: those of production's config that are different, production having learned what it had; or, with a
            ``_target_``, an agent's own config, which is fitted on the burn-in log.
    """
    (arm,), log = prepare_arms(study, (CONTROL,), before, clustered)
    if "_target_" in entries:
        policy = build_agent(entries, f"logging policy {name}")
        policy.bind(arm.production)
        policy.fit(arm.platform, log, RandomStream(study.seed, "logging", name, "fit"))
    else:
        policy = build_agent({**study.production, **entries}, f"logging policy {name}")
        policy.load(before.folder / "state" / "production", arm.platform)
    return arm, policy


def live_frozen(arm: Arm, agent: Agent, days: range, rng: RandomStream, callbacks: "FrozenRunCallbacks") -> None:
    """Let an agent that learns nothing serve everybody, whole feeds, for the next days."""

    def show(user: IntArray, step: int) -> FilledSlates:
        requests = arm.records.requests(user, arm.slots)
        callbacks.on_requests(step, requests)
        return checked_slates(agent, requests, rng.at(requests.day, step), arm.platform, arm.name)

    for day in days:
        callbacks.on_day(day)
        with serving_day(arm.world, arm.records, day) as today:
            for served in today.requests(with_own_requests(arm.world, arm.records, arm.slots, show)):
                theirs = served.recommended()
                if len(theirs.user):  # else all of them chose for themselves, and nobody was asked for slates
                    callbacks.on_served(theirs)


class FrozenRunCallbacks:
    """Callbacks of ``live_frozen``; by default they do nothing."""

    def on_day(self, day: int) -> None:
        """Called before a day begins."""

    def on_requests(self, step: int, requests: Requests) -> None:
        """Called with requests, before anything is shown."""

    def on_served(self, served: Served) -> None:
        """Called after a request was served, with the users of the latest ``on_requests``."""
