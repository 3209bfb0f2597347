"""User-level sums before the experiment, and on its days: what CUPED, Figure 5 and sequential intervals rest on."""

from dataclasses import replace

import numpy as np

from agents.novelty import novel_rows
from experiments.inference.users import UserSums
from experiments.measures.metrics import METRICS, ArmRun, Design, active, by_day, user_sums, watch_minutes
from experiments.results_schema import MetricName
from sim.arrays import BoolArray, FloatArray
from sim.log import AGENT, InteractionLog

WITHOUT_PAST: tuple[MetricName, ...] = ("discoveries_per_user", "exploration_precision")
"""Metrics of hidden truth, which no log holds; their covariate is watch time."""


def burn_in_sums(design: Design) -> dict[MetricName, UserSums]:
    """Each metric's covariate: the same metric over the burn-in, for all N users in the order of their ids.

    The burn-in begins on day 0; what users consumed before it is not novel.

    The agents had no slots then: metrics of the agent's slots have the whole feed's. Metrics of
    hidden truth (``WITHOUT_PAST``) have watch time.
    """
    if len(design.burn_in) == 0 or design.first_day < 1:
        return {}
    everyone, log = np.arange(design.num_users), design.burn_in.where(design.burn_in.day >= 0)
    consumed = np.zeros_like(design.consumed_before)
    lived = design.burn_in.where((design.burn_in.day < 0) & design.burn_in.consumed)
    consumed[lived.user, lived.cluster] = True
    run = ArmRun("burn-in", log, everyone, np.zeros(len(log), dtype=bool), np.zeros(design.num_users, dtype=np.int64))
    past = replace(
        design,
        first_day=0,
        num_days=design.first_day,
        consumed_before=consumed,
        burn_in=InteractionLog.concatenate([]),
    )
    sums = user_sums(run, past)
    covariates: dict[MetricName, UserSums] = {}
    for metric in METRICS:
        name = "watch_minutes_per_user_day" if metric.name in WITHOUT_PAST else metric.name.removesuffix("_agent_slots")
        if name in sums:
            covariates[metric.name] = sums[name]
    return covariates


def sums_until(run: ArmRun, design: Design) -> dict[MetricName, list[UserSums]]:
    """The metrics of ``metrics.PRIMARY`` as they stand at the end of each of the D days.

    Returns:
        D sums a metric, each (U,) over the days until then; the last are those of ``metrics.user_sums``.
    """
    minutes = watch_minutes(run, design)  # (U, D)
    days = np.ones_like(minutes)
    agent = run.log.source == AGENT
    novel = novel_rows(run.log, design.consumed_before)
    shown = by_day(run, design, agent)
    series: dict[MetricName, tuple[FloatArray | BoolArray, FloatArray]] = {
        "novel_impression_ratio_agent_slots": (by_day(run, design, novel & agent), shown),
        "positive_rate_agent_slots": (by_day(run, design, run.log.positive & agent), shown),
        "watch_minutes_per_user_day": (minutes, days),
        "active_user_share": (active(minutes), days),
    }
    return {
        name: [UserSums(n, d) for n, d in zip(*(part.cumsum(axis=1).T for part in parts), strict=True)]
        for name, parts in series.items()
    }
