"""A/A tests by user splits: halves of one arm's users that differ in nothing but chance."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from experiments.inference.users import LEVEL, UserSums, relative_lift
from experiments.measures.metrics import sums_by_day, watch_sums
from experiments.results_schema import MetricName, Results
from sim.log import OWN, InteractionLog
from sim.random import RandomStream

Name = TypeVar("Name", bound=str)

SPLITS = 200
"""Random halves a world."""

FALSE_POSITIVES_OF: tuple[MetricName, ...] = ("watch_minutes_per_user_day", "active_user_share", "positive_rate")
"""Metrics whose false positives are counted, as ``experiments.measures.metrics`` defines them."""


def false_positives(results: Results, folder: Path) -> dict[MetricName, float]:
    """The share of splits of the control arm's users, whose log is in ``folder``, that differ with p < 0.05."""
    experiment = results["config"]["experiment"]
    log = InteractionLog.read(folder / f"log_{experiment['control']}.parquet")
    num_users, days = int(results["config"]["world"]["num_users"]), int(experiment["days"])
    sums = control_sums(log, num_users, int(experiment["burn_in_days"]), days)
    return split_shares(sums, RandomStream(int(results["config"]["seed"]), "A/A splits").generator())


def control_sums(log: InteractionLog, num_users: int, first_day: int, days: int) -> dict[MetricName, UserSums]:
    """(U,) sums of ``FALSE_POSITIVES_OF`` over all users, those who never came included."""
    feed = log.source != OWN
    shown, liked = (np.bincount(log.user[rows], minlength=num_users) for rows in (feed, feed & log.positive))
    seconds = sums_by_day(log.user, log.day - first_day, (num_users, days), log.watch_seconds)
    return {**watch_sums(seconds / 60.0), "positive_rate": UserSums(liked, shown)}


def split_shares(sums: Mapping[Name, UserSums], rng: np.random.Generator, splits: int = SPLITS) -> dict[Name, float]:
    """The share of random halves of the users in which a metric, of sums (U,), differs with p < 0.05."""
    rejected = dict.fromkeys(sums, 0)
    num_users = len(next(iter(sums.values())).numerator)
    for _ in range(splits):
        half = rng.permutation(num_users) < num_users // 2
        for metric, of_users in sums.items():
            p = relative_lift(of_users.only(half), of_users.only(~half), paired=False).p
            rejected[metric] += p is not None and p < 1 - LEVEL
    return {metric: count / splits for metric, count in rejected.items()}
