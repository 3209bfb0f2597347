"""Logs from planted rates, for the tests of metrics, figures and the report."""

import copy
from functools import cache
from typing import Any

import numpy as np

from experiments.measures.metrics import ArmRun, Design
from experiments.measures.results import assemble
from sim.arrays import BoolArray, FloatArray
from sim.log import DTYPES, InteractionLog
from sim.random import RandomStream

FIRST_DAY = 20
EMPTY = InteractionLog.concatenate([])
CONFIG: dict[str, Any] = {
    "seed": 7,
    "world": {"num_users": 400, "semantic_alignment": 1.0},
    "experiment": {"burn_in_days": FIRST_DAY, "days": 4, "slots": 5, "exploration_slots": 1, "diversion": "twins"},
}


def log_of(**columns: Any) -> InteractionLog:
    """A log with the given columns; the others are zero."""
    rows = len(columns["user"])
    return InteractionLog(**{name: columns.get(name, np.zeros(rows)) for name in DTYPES})


def design_of(consumed_before: BoolArray, **changes: Any) -> Design:
    values: dict[str, Any] = {
        "num_users": len(consumed_before), "first_day": FIRST_DAY, "num_days": 4, "diversion": "twins", "slots": 5,
        "exploration_slots": 1, "num_clusters": consumed_before.shape[1], "consumed_before": consumed_before,
        "burn_in": EMPTY, "control": "control", "reference": "bandit",
    }  # fmt: skip
    return Design(**{**values, **changes})


def planted_log(
    rng: np.random.Generator, activity: FloatArray, days: int, clusters: int, explore: float, watch: float, agent: bool
) -> InteractionLog:
    """Users watch near their home cluster and, on a planted share of impressions, anywhere."""
    num = len(activity)
    shown = rng.poisson(10 * activity, size=(days, num))  # (D, N): by day, then user
    user = np.repeat(np.tile(np.arange(num), days), shown.ravel())
    day = np.repeat(np.repeat(np.arange(days), num), shown.ravel()) + FIRST_DAY
    rows = len(user)
    new = rng.random(rows) < explore
    cluster = np.where(new, rng.integers(clusters, size=rows), (user * 7 + rng.geometric(0.4, rows)) % clusters)
    positive = rng.random(rows) < np.where(new, 0.25, 0.4) * watch
    return log_of(
        user=user, day=day, cluster=cluster, item=cluster + clusters * np.minimum(rng.geometric(0.1, rows), 40),
        positive=positive, consumed=positive | (rng.random(rows) < 0.4), source=(rng.random(rows) < 0.3) & agent,
        watch_seconds=rng.exponential(40 * watch, rows),
    )  # fmt: skip


def planted_arms(num: int = 400, clusters: int = 30, days: int = 4) -> tuple[list[ArmRun], Design]:
    """Control, bandit, LLM and random, of which the LLM gains watch time and random loses it."""
    activity = RandomStream(1, "activity").generator().gamma(2, 0.5, size=num)
    arms = []
    for name, explore, watch in (("control", 0.1, 1), ("bandit", 0.25, 1), ("llm", 0.4, 1.15), ("random", 0.5, 0.85)):
        rng = RandomStream(1, name).generator()
        log = planted_log(rng, activity, days, clusters, explore, watch, agent=name != "control")
        arms.append(ArmRun(name, log, np.arange(num), rng.random(len(log)) < 0.3, rng.poisson(explore, size=num)))
    before = RandomStream(1, "before").generator().random((num, clusters)) < 0.1
    return arms, design_of(before, num_days=days)


def planted_results(arms: tuple[str, ...] = ("control", "bandit", "llm", "random")) -> dict[str, Any]:
    """The results of these of the planted arms; whoever asks may change them."""
    return copy.deepcopy(_assembled(arms))


@cache
def _assembled(arms: tuple[str, ...]) -> dict[str, Any]:
    runs, design = planted_arms()
    runs = [run for run in runs if run.name in arms]
    return assemble(runs, design, CONFIG, {"llm_tokens": 12345}, RandomStream(1, "results").generator())


def crowd_of(copies: int) -> dict[str, Any]:
    """Results of the control, the bandit and so many copies of the LLM."""
    (control, bandit, llm, _), design = planted_arms(num=200)
    others = [ArmRun(f"copy_{k}", llm.log, llm.assigned, llm.dormant, llm.discoveries) for k in range(copies)]
    return assemble([control, bandit, *others], design, CONFIG, {}, RandomStream(1, "results").generator())


def first_days(daily: Any, days: int) -> Any:
    """The ``daily`` part of results of a shorter experiment: every list cut."""
    if isinstance(daily, dict):
        return {key: first_days(value, days) for key, value in daily.items()}
    return daily[:days] if isinstance(daily, list) else daily
