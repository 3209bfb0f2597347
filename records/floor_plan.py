"""Draws ``docs/figures/floor_plan.svg`` from the imports: ``python -m records.floor_plan``.

Layers are those of the import contract in ``pyproject.toml``; a line says that some module of the upper package
imports one of the lower. Where a path of other lines leads there, the line itself is left out.
"""

import tomllib
from pathlib import Path

import grimp
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.reporting.figures.files import STYLE

ROOT = Path(__file__).parents[1]
BELOW = [["agents", "envs"], ["sim.hidden"], ["sim"]]
"""The packages under ``experiments``, from top to bottom."""

ENTRY = ("main", "command")
"""How commands are entered; what all of them import says nothing of how they differ."""

WIDTH, HEIGHT = 8.0, 7.0  # inches
MOST_A_ROW = 8


def layers() -> list[list[str]]:
    """Rows of packages, from top to bottom; a layer with many is broken into several rows."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (found,) = (each["layers"] for each in tools["importlinter"]["contracts"] if each["type"] == "layers")
    rows = []
    for layer in found:
        names = [f"experiments.{name.strip()}" for name in layer.split("|") if name.strip() not in ENTRY]
        rows += [names[start : start + MOST_A_ROW] for start in range(0, len(names), MOST_A_ROW)]
    return rows + BELOW


def imports(packages: list[str]) -> set[tuple[str, str]]:
    """Which packages import which, by their modules' imports."""
    graph = grimp.build_graph("experiments", "agents", "envs", "conf", "sim")
    deepest = sorted(packages, key=len, reverse=True)

    def package_of(module: str) -> str | None:
        return next((each for each in deepest if f"{module}.".startswith(f"{each}.")), None)

    pairs = {
        (package_of(module), package_of(other))
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    }
    return {(upper, lower) for upper, lower in pairs if upper and lower and upper != lower}


def reduced(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs without those that a path over others stands for (transitive reduction)."""

    def reached(start: str, without: tuple[str, str]) -> set[str]:
        found, left = set[str](), [start]
        while left:
            here = left.pop()
            found.add(here)
            left += [b for a, b in pairs if a == here and b not in found and (a, b) != without]
        return found

    return {pair for pair in pairs if pair[1] not in reached(pair[0], pair)}


def draw(axes: Axes, rows: list[list[str]], pairs: set[tuple[str, str]]) -> None:
    """Packages as boxes in rows, imports as lines."""
    place = {
        name: ((column + 0.5) / len(row), 1 - (number + 0.5) / len(rows))
        for number, row in enumerate(rows)
        for column, name in enumerate(row)
    }
    for upper, lower in pairs:
        (x0, y0), (x1, y1) = place[upper], place[lower]
        axes.plot([x0, x1], [y0, y1], color="0.6", linewidth=0.7, zorder=1)
    for name, (x, y) in place.items():
        color = {"sim.hidden": "#f4c7c3", "sim": "#d5e8d4", "agents": "#dae8fc", "envs": "#dae8fc"}.get(name, "white")
        box = {"boxstyle": "round,pad=0.35", "facecolor": color, "edgecolor": "0.4", "linewidth": 0.7}
        axes.text(x, y, name.removeprefix("experiments."), ha="center", va="center", fontsize=7, bbox=box, zorder=2)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")


def main() -> None:
    """Write the figure."""
    rows = layers()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "interestlab"}):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        draw(figure.add_subplot(), rows, reduced(imports([name for row in rows for name in row])))
        figure.savefig(ROOT / "docs" / "figures" / "floor_plan.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
