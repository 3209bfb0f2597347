"""Answers measured: every agent on every task, with intervals, and what sets it apart from the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.inference.multiplicity import holm
from experiments.offline.answers import Answers
from experiments.offline.intervals import Resampled, coverage, means, paired_p
from experiments.offline.measures import accuracy, chance, miscalibration, novelty, popularity_of
from experiments.offline.schema import Cell, Difference, TaskRow
from experiments.offline.split import Split
from experiments.offline.tasks import Task
from sim.arrays import FloatArray, IntArray
from sim.platform import Platform
from sim.random import RandomStream


@dataclass(frozen=True)
class Past:
    """What of the days before the measures need.

    Attributes:
        popularity: of every item and of every cluster, by ``item`` and ``cluster``; see ``measures.novelty``.
        row, cluster: (R,) the asked users' positives: place of the user, and cluster.
        cluster_of_item: (n,) int32.
        num_clusters: M.
        num_live: items that can be shown on the first held-out day.
    """

    popularity: Mapping[str, FloatArray]
    row: IntArray
    cluster: IntArray
    cluster_of_item: IntArray
    num_clusters: int
    num_live: int

    @staticmethod
    def of(parts: Split, platform: Platform) -> "Past":
        """The past of a split."""
        log, num_users, num_clusters = parts.history.log, platform.num_users, platform.clusters.num_clusters
        liked = log.where(log.positive & np.isin(log.user, parts.asked))
        return Past(
            {
                "item": popularity_of(log, "item", platform.catalog.num_items, num_users),
                "cluster": popularity_of(log, "cluster", num_clusters, num_users),
            },
            np.searchsorted(parts.asked, liked.user),
            liked.cluster,
            platform.cluster_of_item,
            num_clusters,
            len(platform.live_items()),
        )


def measured(
    answers: Mapping[str, Answers],
    tasks: Mapping[str, Task],
    past: Past,
    reference: str,
    stream: RandomStream,
    resamples: int,
) -> dict[str, TaskRow]:
    """Every task's agents, chance, and differences to the reference.

    p-values are of the paired differences of users (``paired_p``); ``p_holm`` is Holm's over all agents and
    tasks, for each measure by itself. Coverage is no mean over users and has an interval only.

    Returns:
        By task; one without targets has empty ``chance``, ``agents`` and ``differences``.
    """
    found: dict[str, TaskRow] = {}
    length = next(iter(answers.values())).items.shape[1]
    with tqdm(total=len(tasks) * len(answers), desc="measures", unit="agent", dynamic_ncols=True) as bar:
        for name, task in tasks.items():
            of_task: TaskRow = {
                "users": len(task.users),
                "targets": len(task.target),
                "candidates": float(task.num_candidates[task.users].mean()) if len(task.users) else None,
                "left_out": dict(task.left_out),
                "chance": {},
                "agents": {},
                "differences": {},
            }
            if len(task.users):
                of_task["chance"] = {key: float(values.mean()) for key, values in chance(task, length).items()}
                by_user = {agent: of_users(given, task, past) for agent, given in answers.items()}
                resampled = _resampled(by_user, answers, task, past, stream.at(name), resamples, bar)
                of_task["agents"] = {
                    agent: {
                        "planned": answers[agent].planned,
                        "measures": {key: _cell(each) for key, each in of_agent.items()},
                    }
                    for agent, of_agent in resampled.items()
                }
                of_task["differences"] = _differences(by_user, resampled, reference)
            found[name] = of_task
    _adjust(found)
    return found


def _listed(given: Answers, task: Task) -> IntArray:
    return given.items if task.name == "next_item" else given.clusters


def of_users(given: Answers, task: Task, past: Past) -> dict[str, FloatArray]:
    """Every measure that is a mean over users, each (V,) float64 of the users who have a target."""
    answers = _listed(given, task)
    column = "item" if task.name == "next_item" else "cluster"
    found = accuracy(answers, task)
    found["novelty"] = novelty(answers, past.popularity[column])[task.users]
    if column == "item":
        clusters = past.cluster_of_item[answers]
        found["calibration"] = miscalibration(clusters, past.row, past.cluster, past.num_clusters)[task.users]
    return found


def _resampled(
    by_user: Mapping[str, dict[str, FloatArray]],
    answers: Mapping[str, Answers],
    task: Task,
    past: Past,
    stream: RandomStream,
    resamples: int,
    bar: "tqdm[Any]",
) -> dict[str, dict[str, Resampled]]:
    """Every agent's measures on the same resamples."""
    num = past.num_live if task.name == "next_item" else past.num_clusters
    found = {}
    for agent, of_agent in by_user.items():
        columns = means(np.stack(list(of_agent.values()), axis=1), stream, resamples)
        found[agent] = dict(zip(of_agent, columns, strict=True))
        listed = _listed(answers[agent], task)[task.users]
        found[agent]["coverage"] = coverage(listed, num, stream, resamples)
        bar.update()
    return found


def _cell(each: Resampled) -> Cell:
    low, high = each.interval()
    return {"value": each.value, "low": low, "high": high}


def _differences(
    by_user: Mapping[str, dict[str, FloatArray]], resampled: Mapping[str, dict[str, Resampled]], reference: str
) -> dict[str, dict[str, Difference]]:
    found: dict[str, dict[str, Difference]] = {}
    for agent, of_agent in resampled.items():
        if agent == reference:
            continue
        found[agent] = {}
        for key, each in of_agent.items():
            users = by_user[agent].get(key)
            p = None if users is None else paired_p(users - by_user[reference][key])
            found[agent][key] = {**_cell(each - resampled[reference][key]), "p": p, "p_holm": None}
    return found


def _adjust(found: dict[str, TaskRow]) -> None:
    """Fill in ``p_holm`` of every difference."""
    cells: dict[str, list[Difference]] = {}
    for of_task in found.values():
        for of_agent in of_task["differences"].values():
            for key, cell in of_agent.items():
                cells.setdefault(key, []).append(cell)
    for of_measure in cells.values():
        for cell, adjusted in zip(of_measure, holm([cell["p"] for cell in of_measure]), strict=True):
            cell["p_holm"] = adjusted
