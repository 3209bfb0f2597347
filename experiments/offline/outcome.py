"""Measures of every agent's lists on every task, with intervals, and what sets it apart from the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.inference.multiplicity import holm
from experiments.offline.intervals import Resampled, coverage, means, paired_p
from experiments.offline.lists import Lists
from experiments.offline.measures import accuracy, chance, miscalibration, novelty, popularity_of
from experiments.offline.schema import Cell, Difference, TaskRow
from experiments.offline.split import Split
from experiments.offline.tasks import Task
from sim.arrays import FloatArray, IntArray
from sim.platform import Platform
from sim.random import RandomStream


@dataclass(frozen=True)
class Past:
    """The parts of the days before that measures use.

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
    lists: Mapping[str, Lists],
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
    rows: dict[str, TaskRow] = {}
    length = next(iter(lists.values())).items.shape[1]
    with tqdm(total=len(tasks) * len(lists), desc="measures", unit="agent", dynamic_ncols=True) as bar:
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
                by_user = {agent: of_users(given, task, past) for agent, given in lists.items()}
                resampled = _resampled(by_user, lists, task, past, stream.at(name), resamples, bar)
                of_task["agents"] = {
                    agent: {
                        "planned": lists[agent].planned,
                        "measures": {key: _cell(each) for key, each in of_agent.items()},
                    }
                    for agent, of_agent in resampled.items()
                }
                of_task["differences"] = _differences(by_user, resampled, reference)
            rows[name] = of_task
    _adjust(rows)
    return rows


def _listed(given: Lists, task: Task) -> IntArray:
    return given.items if task.name == "next_item" else given.clusters


def of_users(given: Lists, task: Task, past: Past) -> dict[str, FloatArray]:
    """Every measure that is a mean over users, each (V,) float64 of the users who have a target."""
    lists = _listed(given, task)
    column = "item" if task.name == "next_item" else "cluster"
    measures = accuracy(lists, task)
    measures["novelty"] = novelty(lists, past.popularity[column])[task.users]
    if column == "item":
        clusters = past.cluster_of_item[lists]
        measures["calibration"] = miscalibration(clusters, past.row, past.cluster, past.num_clusters)[task.users]
    return measures


def _resampled(
    by_user: Mapping[str, dict[str, FloatArray]],
    lists: Mapping[str, Lists],
    task: Task,
    past: Past,
    stream: RandomStream,
    resamples: int,
    bar: "tqdm[Any]",
) -> dict[str, dict[str, Resampled]]:
    """Every agent's measures on the same resamples."""
    num = past.num_live if task.name == "next_item" else past.num_clusters
    by_agent = {}
    for agent, of_agent in by_user.items():
        columns = means(np.stack(list(of_agent.values()), axis=1), stream, resamples)
        by_agent[agent] = dict(zip(of_agent, columns, strict=True))
        listed = _listed(lists[agent], task)[task.users]
        by_agent[agent]["coverage"] = coverage(listed, num, stream, resamples)
        bar.update()
    return by_agent


def _cell(each: Resampled) -> Cell:
    low, high = each.interval()
    return {"value": each.value, "low": low, "high": high}


def _differences(
    by_user: Mapping[str, dict[str, FloatArray]], resampled: Mapping[str, dict[str, Resampled]], reference: str
) -> dict[str, dict[str, Difference]]:
    by_agent: dict[str, dict[str, Difference]] = {}
    for agent, of_agent in resampled.items():
        if agent == reference:
            continue
        by_agent[agent] = {}
        for key, each in of_agent.items():
            users = by_user[agent].get(key)
            p = None if users is None else paired_p(users - by_user[reference][key])
            by_agent[agent][key] = {**_cell(each - resampled[reference][key]), "p": p, "p_holm": None}
    return by_agent


def _adjust(rows: dict[str, TaskRow]) -> None:
    """Fill in ``p_holm`` of every difference."""
    cells: dict[str, list[Difference]] = {}
    for of_task in rows.values():
        for of_agent in of_task["differences"].values():
            for key, cell in of_agent.items():
                cells.setdefault(key, []).append(cell)
    for of_measure in cells.values():
        for cell, adjusted in zip(of_measure, holm([cell["p"] for cell in of_measure]), strict=True):
            cell["p_holm"] = adjusted
