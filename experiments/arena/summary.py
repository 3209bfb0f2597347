"""An arena's results in one record, as in arena.json, and its cells as a flat table."""

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import kendalltau

from experiments.arena.jobs import Made
from experiments.arena.live import read_learning, read_live
from experiments.arena.rewards import REWARDS
from experiments.arena.schema import (
    ArenaResults,
    Earned,
    JudgedAgent,
    Limits,
    PolicyRow,
    Ranked,
    SizeRow,
    Total,
)
from experiments.arena.scores import judged, read_scores, slate_values
from experiments.measures.results import plain
from experiments.stages.stages import Stage
from experiments.study.study import Study
from sim.arrays import FloatArray


def summarise(study: Study, made: Made, scored: dict[str, Stage], clustered: Stage) -> ArenaResults:
    """Join the stages' results. All values are a slot's; those of slates are divided by their slots."""
    arms = list(study.experiment.arms)
    slots = study.experiment.slots
    lives = {name: read_live(made.live[name]) for name in arms}
    learned = {name: read_learning(study, name, stage, clustered) for name, stage in made.learning.items()}
    live = {name: _values(results, slots) for name, results in lives.items()}
    scores = {policy: read_scores(stage) for policy, stage in scored.items()}
    novel = next(iter(scores.values()))["novel"]
    days = study.world.num_users * study.experiment.days
    results: ArenaResults = {
        "seed": study.seed,
        "slots": slots,
        "agents": sorted(arms, key=lambda name: (novel[name], name)),
        "novel": novel,
        "live": live,
        "learning": {name: _values(each, slots) for name, each in learned.items()},
        "per_user_day": {
            name: dict(zip(REWARDS, (each["all"] / days).tolist(), strict=True)) for name, each in lives.items()
        },
        "logging": {policy: _of_policy(each, live) for policy, each in scores.items()},
    }
    rounded: ArenaResults = plain(results)
    return rounded


def _values(rewards: dict[str, FloatArray], slots: int) -> dict[str, Earned]:
    return slate_values(rewards["user"].astype(np.int64), rewards["reward"], slots)


def _of_policy(scores: dict[str, Any], live: dict[str, dict[str, Earned]]) -> PolicyRow:
    """A logging policy's scores, judged."""
    truth = {metric: {name: each[metric]["value"] for name, each in scores["truth"].items()} for metric in REWARDS}
    really = {metric: {name: each[metric]["value"] for name, each in live.items()} for metric in REWARDS}
    seen = {metric: {name: each[metric] for name, each in scores["seen"].items()} for metric in REWARDS}
    sizes: dict[str, SizeRow] = {
        size: {
            "logs": cell["logs"],
            "support": cell["support"],
            "metrics": {
                metric: {name: judged(each, truth[metric], really[metric]) for name, each in estimators.items()}
                for metric, estimators in cell["metrics"].items()
            },
        }
        for size, cell in scores["sizes"].items()
    }
    limits: dict[str, Limits] = {
        metric: {"seen": _ranked(seen[metric], really[metric]), "truth": _ranked(truth[metric], really[metric])}
        for metric in REWARDS
    }
    return {
        "requests": scores["requests"],
        "truth": scores["truth"],
        "seen": scores["seen"],
        "reach": scores["reach"],
        "limits": limits,
        "sizes": sizes,
    }


def _ranked(values: dict[str, float], live: dict[str, float]) -> Ranked:
    """How values that are known without error rank the agents, against the A/B."""
    names = list(live)
    tau = float(kendalltau([values[name] for name in names], [live[name] for name in names]).statistic)
    right = max(names, key=lambda name: values[name]) == max(names, key=lambda name: live[name])
    return {"tau": tau if np.isfinite(tau) else None, "winner": float(right)}


def total(cells: dict[str, JudgedAgent], truth: dict[str, float]) -> Total:
    """One estimator over all agents, of ``judged``'s cells and what is true of each agent at the logged requests.

    Returns:
        The median over agents of root mean squared error / truth, and the share of all intervals that hold the truth,
        those that could not be made not holding it.
    """
    relative = [cell["rmse"] / truth[name] for name, cell in cells.items() if cell["rmse"] is not None and truth[name]]
    return {
        "rmse": float(np.median(relative)) if relative else None,
        "covered": sum(cell["covered"] for cell in cells.values()) / sum(cell["logs"] for cell in cells.values()),
    }


def flat(results: ArenaResults) -> pa.Table:
    """Every cell a row: policy, size, metric, estimator, agent, then what ``judged`` says, the truth and the A/B."""
    rows = [
        {
            "logging": policy,
            "impressions": int(size),
            "metric": metric,
            "estimator": estimator,
            "agent": agent,
            **cell,
            "truth": of_policy["truth"][agent][metric]["value"],
            "live": results["live"][agent][metric]["value"],
        }
        for policy, of_policy in results["logging"].items()
        for size, of_size in of_policy["sizes"].items()
        for metric, estimators in of_size["metrics"].items()
        for estimator, each in estimators.items()
        for agent, cell in each["agents"].items()
    ]
    return pa.Table.from_pylist(rows)
