"""Results as tables and as a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.measures.significance import significant
from experiments.offline.figures import prediction_figure, ranked
from experiments.offline.measures import TITLES as MEASURES
from experiments.offline.schema import OfflineResults, TaskRow
from experiments.offline.tasks import TITLES as TASKS
from experiments.reporting.html import write_results
from experiments.reporting.text import UNKNOWN, estimate, listed, markdown, p_value

_COMPARED = ("recall", "ndcg", "mrr")


def table(of_task: TaskRow, top_k: int) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a task: agents by recall, then chance; a value and its interval a cell."""
    agents = ranked(of_task)
    keys = [key for key in MEASURES if key in of_task["agents"][agents[0]]["measures"]]
    heads = ["agent", *[MEASURES[key] if key == "calibration" else f"{MEASURES[key]}@{top_k}" for key in keys]]
    rows = []
    for name in agents:
        measures = of_task["agents"][name]["measures"]
        rows.append([name, *[estimate(measures[key], _digits(key)) for key in keys]])
    chance = of_task["chance"]
    rows.append(["chance, exact", *[f"{chance[key]:.3f}" if key in chance else UNKNOWN for key in keys]])
    return heads, rows


def differences(of_task: TaskRow, top_k: int) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a task's paired differences to the reference, agents in the order of ``table``."""
    heads = ["agent"]
    for key in _COMPARED:
        heads += [f"{MEASURES[key]}@{top_k}", "p (Holm)"]
    rows = []
    for name in ranked(of_task):
        if name in of_task["differences"]:
            cells = [of_task["differences"][name][key] for key in _COMPARED]
            row = [name]
            for cell in cells:
                row += [estimate(cell, "+.3f"), p_value(cell["p_holm"])]
            rows.append(row)
    return heads, rows


def summary(results: OfflineResults) -> list[str]:
    """For each task which agents' recall differs from the reference's after Holm's adjustment over agents and tasks."""
    top_k, reference = results["offline"]["top_k"], results["offline"]["reference"]
    sentences = []
    for name, of_task in results["tasks"].items():
        cells = {agent: of_agent["recall"] for agent, of_agent in of_task["differences"].items()}
        if not cells:
            continue
        different = {agent: cell for agent, cell in cells.items() if significant(cell["p_holm"])}
        parts = []
        for word, sign in (("higher", 1), ("lower", -1)):
            agents = [agent for agent in different if sign * (different[agent]["value"] or 0.0) > 0]
            if agents:
                shown = [f"{agent} ({estimate(cells[agent], '+.3f')})" for agent in agents]
                parts.append(f"{word} for {listed(shown)}")
        others = [agent for agent in cells if agent not in different]
        if others:
            parts.append(f"no difference detected for {listed(others)}")
        sentences.append(f"{TASKS[name].capitalize()}, recall@{top_k} against {reference}: {'; '.join(parts)}.")
    return sentences


def _digits(key: str) -> str:
    return ".2f" if key in ("novelty", "calibration") else ".3f"


def as_markdown(results: OfflineResults) -> str:
    """Every task's tables."""
    top_k, reference = results["offline"]["top_k"], results["offline"]["reference"]
    parts = []
    for name, of_task in results["tasks"].items():
        parts.append(f"## {TASKS[name].capitalize()}\n\n{of_task['users']:,} users, {of_task['targets']:,} targets\n")
        if not of_task["agents"]:
            parts.append("No user has a target.\n")
            continue
        parts.append(markdown(*table(of_task, top_k)))
        if of_task["differences"]:
            parts.append(f"Differences to `{reference}`, paired:\n")
            parts.append(markdown(*differences(of_task, top_k)))
    return "\n".join(parts)


def _counts(named: Mapping[str, int]) -> list[list[str]]:
    return [[reason, f"{num:,}"] for reason, num in named.items()]


def write_offline(results: OfflineResults, folder: Path) -> Path:
    """Write offline.md, the figures and offline.html into ``folder``.

    Args:
        results: as offline.json has them.
        folder: where.

    Returns:
        The path of offline.html.
    """
    chosen = results["offline"]
    top_k = chosen["top_k"]
    tasks, figures, narrow = [], {}, {}
    for name, of_task in results["tasks"].items():
        described: dict[str, Any] = {"name": name, "title": TASKS[name], **of_task}
        described["left_out"] = [(reason, num) for reason, num in of_task["left_out"].items() if num]
        if of_task["agents"]:
            figures[name], narrow[name] = (
                prediction_figure(of_task, TASKS[name], top_k, chosen["reference"], phone) for phone in (False, True)
            )
            described["heads"], described["rows"] = table(of_task, top_k)
            described["compared"] = differences(of_task, top_k)
        tasks.append(described)
    content = {
        "tasks": tasks,
        "summary": summary(results),
        "dataset": results["dataset"],
        "offline": chosen,
        "left_out_agents": results["left_out_agents"],
        "users": _counts(results["users"]),
        "left_out": _counts(results["dataset"]["left_out"]),
    }
    return write_results(folder, "offline", content, figures, as_markdown(results), narrow)
