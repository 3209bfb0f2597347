"""The arena's stages in their order, some at a time side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from experiments.arena.live import live_stage
from experiments.arena.logs import log_stage
from experiments.arena.offline import offline_stage
from experiments.arena.settings import ArenaConfig
from experiments.arena.sides import fit_stage
from experiments.live.arm_stages import arms_stage
from experiments.stages.progress import with_bar
from experiments.stages.stages import Stage
from experiments.study.protocol import CONTROL
from experiments.study.study import Study


@dataclass(frozen=True)
class Made:
    """All stages of an arena.

    Attributes:
        logged: logging policy -> its log.
        offline: (logging policy, agent) -> the agent at the log's requests.
        live: agent -> the frozen A/B.
        learning: agent -> the A/B in which it learns; empty if not asked for.
    """

    logged: dict[str, Stage]
    offline: dict[tuple[str, str], Stage]
    live: dict[str, Stage]
    learning: dict[str, Stage]


def make_all(study: Study, arena: ArenaConfig, before: Stage, clustered: Stage, tables: dict[str, list[str]]) -> Made:
    """Run what has not been run; arms are the agents, ``tables`` the digests of further stages that they read."""
    arms = study.experiment.arms
    learned = [name for name in arms if name != CONTROL]
    how = study.runtime.workers, study.runtime.backend
    after = {"before": before, "clustered": clustered}
    fits = {name: partial(fit_stage, study, name, inputs=tables.get(name, []), **after) for name in learned}
    logs = {name: partial(log_stage, study, arena, name, **after) for name in arena.logging}
    jobs: dict[tuple[str, str], Callable[[], Stage]] = {("fit", name): job for name, job in fits.items()}
    jobs |= {("log", name): job for name, job in logs.items()}
    first = with_bar(jobs, *how, "fitting and logging", "stage", " ".join)
    fitted = {name: first.get(("fit", name)) for name in arms}
    logged = {name: first["log", name] for name in arena.logging}
    jobs = {}
    for name in arms:
        jobs["live", name] = partial(live_stage, study, name, fitted=fitted[name], **after)
        if arena.learning:
            jobs["learning", name] = partial(arms_stage, study, (name,), inputs=tables.get(name, []), **after)
        for policy, log in logged.items():
            jobs[f"offline {policy}", name] = partial(
                offline_stage, study, arena, policy, name, logged=log, fitted=fitted[name], **after
            )
    second = with_bar(jobs, *how, "agents off and on line", "stage", " ".join)
    return Made(
        logged,
        {(policy, name): second[f"offline {policy}", name] for policy in logged for name in arms},
        {name: second["live", name] for name in arms},
        {name: second["learning", name] for name in arms if arena.learning},
    )
