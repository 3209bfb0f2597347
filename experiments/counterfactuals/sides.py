"""Who serves: agents fitted on the burn-in and kept as they are, and a life under one of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.base import Agent, Recommendations, Requests
from agents.check import validate
from experiments.arm_stages import prepare_arms
from experiments.arms import Arm
from experiments.pipeline import RECOMMENDERS
from experiments.plugins import outside_digests
from experiments.protocol import CONTROL
from experiments.stages import Stage, run_stage
from experiments.study import Study, build_agent
from sim.arrays import BoolArray
from sim.feedback import Feedback
from sim.random import RandomStream

CODE = (*RECOMMENDERS, "experiments/arm_stages.py", "experiments/counterfactuals", "experiments/off_policy")
"""Code that the arena's stages rest on."""


def fit_stage(study: Study, name: str, before: Stage, clustered: Stage, inputs: list[str]) -> Stage:
    """Fit an agent on the burn-in log as an arm of the A/B would, and keep what it learned."""

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        (arm,), log = prepare_arms(study, (name,), before, clustered)
        assert arm.agent is not None
        arm.agent.fit(arm.platform, log, arm.stream.at("fit"))
        (folder / "agent").mkdir(exist_ok=True)
        arm.agent.save(folder / "agent")

    agent = study.agents[name]
    config = {"name": name, "agent": portable(agent), "plugins": outside_digests(agent)}
    digests = [before.digest, clustered.digest, *inputs]
    return run_stage(study.cache_dir, f"arena-fit-{name}", make, config=config, inputs=digests, code=CODE)


def portable(agent: dict[str, Any]) -> dict[str, Any]:
    """An agent's config without the table's path, which the stage's inputs stand for."""
    return {key: portable(each) if isinstance(each, dict) else each for key, each in agent.items() if key != "table"}


def side_of(study: Study, name: str, before: Stage, clustered: Stage, fitted: Stage | None) -> tuple[Arm, Agent]:
    """A twin world on the eve of the A/B, and an agent in it as it was fitted; ``control`` is production."""
    (arm,), _ = prepare_arms(study, (name,), before, clustered)
    if name == CONTROL or fitted is None:
        return arm, arm.production
    assert arm.agent is not None
    arm.agent.load(fitted.folder / "agent", arm.platform)
    return arm, arm.agent


def logging_side(
    study: Study, name: str, entries: dict[str, Any], before: Stage, clustered: Stage
) -> tuple[Arm, Agent]:
    """A twin world on the eve of the A/B, and a logging policy in it.

    Args:
        name: the policy's.
        entries: those of production's config that are different, production having learned what it had; or,
            with a ``_target_``, an agent's own config, which is fitted on the burn-in log.
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


@dataclass(frozen=True)
class Served:
    """One request of B users, and what came of it.

    Attributes:
        step: the users' request number today.
        requests: what they asked.
        known: (B, M) bool, clusters that they had consumed from before it.
        slate: what they were shown.
        feedback: what they did.
    """

    step: int
    requests: Requests
    known: BoolArray
    slate: Recommendations
    feedback: Feedback


def live_frozen(arm: Arm, agent: Agent, days: range, rng: RandomStream, watch: "Watcher") -> None:
    """Let an agent that learns nothing serve everybody, whole feeds, for some days.

    The days are those of ``experiments.arms.run_day``, but for learning.

    Args:
        arm: its world, records and platform.
        agent: who serves.
        days: the next ones.
        rng: the agent's randomness.
        watch: told of what happens.
    """
    world, records = arm.world, arm.records
    for day in days:
        watch.eve(day)
        came = world.begin_day(day)
        records.begin_day(day, world.catalog)
        here = came
        for step in range(world.config.platform.max_requests_per_day):
            if not len(here):
                break
            requests = records.requests(here, arm.slots)
            known = arm.platform.consumed_clusters(here)
            if step == 0:
                watch.first(requests)
            slate = agent.recommend(requests, rng.at(day, step))
            validate(slate, requests, arm.platform, arm.name)
            feedback = world.respond(here, slate.items, step)
            watch.served(Served(step, requests, known, slate, feedback))
            records.record(
                here, slate.items, feedback.examined, feedback.consumed, feedback.watch_fraction, feedback.positive
            )
            here = here[~feedback.left]
        world.end_day(came)


class Watcher:
    """Told of a frozen life; the methods do nothing by themselves."""

    def eve(self, day: int) -> None:
        """A day is about to begin."""

    def first(self, requests: Requests) -> None:
        """The first requests of a day have come, and nothing has been shown yet."""

    def served(self, served: Served) -> None:
        """A request has been answered."""
