"""What was found, as tables and as a page."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.prediction.figures import ranked
from experiments.prediction.measures import TITLES as MEASURES
from experiments.prediction.schema import Cell, OfflineResults, TaskRow
from experiments.prediction.tasks import TITLES as TASKS
from experiments.reporting.figures.files import svg_source
from experiments.reporting.html import write_page
from experiments.reporting.text import markdown

_NOTHING = "\N{EN DASH}"
_COMPARED = ("recall", "ndcg", "mrr")


def table(of_task: TaskRow, top_k: int) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a task: agents by recall, then chance; a value and its interval a cell."""
    agents = ranked(of_task)
    keys = [key for key in MEASURES if key in of_task["agents"][agents[0]]["measures"]]
    heads = ["agent", *[MEASURES[key] if key == "calibration" else f"{MEASURES[key]}@{top_k}" for key in keys]]
    rows = []
    for name in agents:
        measures = of_task["agents"][name]["measures"]
        rows.append([name, *[_shown(measures[key], _digits(key)) for key in keys]])
    chance = of_task["chance"]
    rows.append(["chance, exact", *[f"{chance[key]:.3f}" if key in chance else _NOTHING for key in keys]])
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
                row += [_shown(cell, "+.3f"), _p(cell["p_holm"])]
            rows.append(row)
    return heads, rows


def _digits(key: str) -> str:
    return ".2f" if key in ("novelty", "calibration") else ".3f"


def _shown(cell: Cell, style: str) -> str:
    text = f"{cell['value']:{style}} [{cell['low']:{style}}, {cell['high']:{style}}]"
    return text.replace("-", "\N{MINUS SIGN}")


def _p(p: float | None) -> str:
    return _NOTHING if p is None else "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


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


def write_offline_page(results: OfflineResults, figures: dict[str, Figure], path: Path) -> Path:
    """Write offline.html.

    Args:
        results: as offline.json has them.
        figures: by task; of those tasks that have users.
        path: of the page.
    """
    top_k = results["offline"]["top_k"]
    tasks = []
    for name, of_task in results["tasks"].items():
        described: dict[str, Any] = {"title": TASKS[name], **of_task}
        described["left_out"] = [(reason, num) for reason, num in of_task["left_out"].items() if num]
        if of_task["agents"]:
            described["source"] = svg_source(figures[name])
            described["heads"], described["rows"] = table(of_task, top_k)
            described["compared"] = differences(of_task, top_k)
        tasks.append(described)
    content = {
        "tasks": tasks,
        "dataset": results["dataset"],
        "offline": results["offline"],
        "left_out_agents": results["left_out_agents"],
        "users": results["users"],
    }
    return write_page("offline.html.j2", content, path)
