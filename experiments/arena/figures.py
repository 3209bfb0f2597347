"""The arena's figures: estimates against two true values, by agent; and estimators' accuracy as logs grow."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from experiments.arena.rewards import REWARDS
from experiments.arena.schema import ArenaResults, JudgedAgent, PolicyRow
from experiments.arena.summary import total
from experiments.reporting.figures.axes import BLACK, COLOURS, MARKERS, legend_below, named_rows, panels, styled

DRAWN = ("ips", "snips", "dm", "dr", "reward_interaction")
"""Estimators in the panels with the true values."""

BY_SIZE = ("ips", "ips_clipped", "snips", "dm", "dr", "switch_dr", "standard", "reward_interaction", "pseudo_inverse")
"""Estimators over the size of the log."""

_SEEN, _TRUTH = "#d9d9d9", BLACK
_SCALE = {"positive": 100.0, "watch": 1.0, "novel_positive": 100.0}
_UNITS = {"positive": "positives (% of slots)", "watch": "watch time (s a slot)",
          "novel_positive": "novel positives (% of slots)"}  # fmt: skip


@styled
def arena_figure(results: ArenaResults) -> Figure:
    """A row a logging policy, a column a metric; agents from the least exploring to the most.

    Args:
        results: as ``experiments.arena.summary.summarise`` returns it.
    """
    agents, policies = results["agents"], results["logging"]
    height = 0.9 + len(policies) * (0.5 + 0.33 * len(agents))
    figure, grid = panels(len(policies), len(REWARDS), height, 9.0, sharex="col", sharey=True)
    for row, (policy, each) in zip(grid, policies.items(), strict=True):
        for axes, metric in zip(row, REWARDS, strict=True):
            _against_truth(axes, results, each, metric)
        row[0].set_ylabel(f"logged by {policy}", fontsize=8)
    for axes, metric in zip(grid[0], REWARDS, strict=True):
        axes.set_title(_UNITS[metric], fontsize=8)
    named_rows(grid[0, 0], [f"{name.replace('_', ' ')} ({100 * results['novel'][name]:.0f}%)" for name in agents])
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, fontsize=7, columnspacing=1.4)
    return figure


def _legend() -> list[Any]:
    plain: dict[str, Any] = {"color": _TRUTH, "linestyle": ""}
    truths = [
        Patch(color=_SEEN, label="truth, part in the log's reach"),
        Line2D([], [], **plain, marker="|", markersize=9, label="truth at the same requests"),
        Line2D([], [], **plain, marker="D", markerfacecolor="white", markersize=4, label="truth, A/B"),
    ]
    dots = [
        Line2D([], [], color=COLOURS[k], marker=MARKERS[k], linestyle="", markersize=3.5, label=name.replace("_", " "))
        for k, name in enumerate(DRAWN)
    ]
    return truths + dots


def _against_truth(axes: Axes, results: ArenaResults, of_policy: PolicyRow, metric: str) -> None:
    agents, scale = results["agents"], _SCALE[metric]
    truth = np.array([of_policy["truth"][name][metric]["value"] for name in agents]) * scale
    live = np.array([results["live"][name][metric]["value"] for name in agents]) * scale
    seen = np.array([of_policy["seen"][name][metric] for name in agents]) * scale
    places = np.arange(len(agents))
    axes.barh(places, seen, height=0.78, color=_SEEN, linewidth=0, zorder=1)
    axes.plot(truth, places, "|", color=_TRUTH, markersize=15, markeredgewidth=1.4, zorder=5)
    axes.plot(live, places, "D", color=_TRUTH, markerfacecolor="white", markersize=4, zorder=4)
    limit = 1.45 * float(max(truth.max(), live.max()))
    if of_policy["sizes"]:
        cells = list(of_policy["sizes"].values())[-1]["metrics"][metric]
        for k, estimator in enumerate(DRAWN):
            for place, name in enumerate(agents):
                y = place + 0.13 * (k - (len(DRAWN) - 1) / 2)
                _estimate(axes, cells[estimator]["agents"][name], scale, y, limit, k)
    axes.set_xlim(-0.04 * limit, limit)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", visible=False)


def _estimate(axes: Axes, cell: JudgedAgent, scale: float, y: float, limit: float, k: int) -> None:
    """A dot with its interval; an arrow at the edge where it lies outside."""
    if cell["estimate"] is None:
        return
    value, half = cell["estimate"] * scale, (cell["half_width"] or 0.0) * scale
    colour = COLOURS[k]
    axes.hlines(y, max(value - half, 0), min(value + half, limit), color=colour, linewidth=0.8, zorder=2)
    if value > limit:
        axes.plot(limit * 0.985, y, ">", color=colour, markersize=3.5, zorder=3)
    elif value < 0:
        axes.plot(-0.02 * limit, y, "<", color=colour, markersize=3.5, zorder=3)
    else:
        axes.plot(value, y, MARKERS[k], color=colour, markersize=3.0, zorder=3)


@styled
def sizes_figure(results: ArenaResults, metric: str) -> Figure:
    """Error, coverage and ranking over the size of the log; a column a logging policy.

    Args:
        results: as ``experiments.arena.summary.summarise`` returns it.
        metric: one of ``REWARDS``.
    """
    policies = results["logging"]
    rows = ("median error (% of the truth)", "intervals that\nhold the truth (%)", "rank correlation\nwith the A/B")
    figure, grid = panels(3, len(policies), 5.6, 1.2 + 2.3 * len(policies), sharex=True, sharey="row")
    for column, (policy, each) in zip(grid.T, policies.items(), strict=True):
        _over_sizes(column, each, metric)
        column[0].set_title(f"logged by {policy}", fontsize=8)
        column[2].set_xlabel("impressions", fontsize=8)
    for axes, title in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(title, fontsize=8)
    grid[0, 0].set_yscale("log")
    grid[0, 0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    grid[0, 0].yaxis.set_minor_formatter(NullFormatter())
    grid[1, 0].set_ylim(-3, 103)
    grid[2, 0].set_ylim(-1.05, 1.05)
    legend_below(figure, grid[0, 0], 5, fontsize=7)
    return figure


def _over_sizes(panels: Any, of_policy: PolicyRow, metric: str) -> None:
    truth = {name: each[metric]["value"] for name, each in of_policy["truth"].items()}
    sizes = [int(size) for size in of_policy["sizes"]]
    for k, estimator in enumerate(BY_SIZE):
        judged = [cell["metrics"][metric][estimator] for cell in of_policy["sizes"].values()]
        over = [total(each["agents"], truth) for each in judged]
        style: dict[str, Any] = {
            "color": COLOURS[k % len(COLOURS)],
            "marker": MARKERS[k % len(MARKERS)],
            "markersize": 3.5,
            "linewidth": 1.1,
            "linestyle": "-" if k < len(COLOURS) else "--",
        }
        lines = (
            [100 * each["rmse"] if each["rmse"] else np.nan for each in over],
            [100 * each["covered"] for each in over],
            [np.nan if each["tau"] is None else each["tau"] for each in judged],
        )
        for axes, values in zip(panels, lines, strict=True):
            axes.plot(sizes, values, label=estimator.replace("_", " "), **style)
    panels[1].axhline(95, color="#555555", linewidth=0.8, linestyle=":")
    limits = of_policy["limits"][metric]
    for limit, line in ((limits["truth"], "-"), (limits["seen"], ":")):
        if limit["tau"] is not None:
            panels[2].axhline(limit["tau"], color=_TRUTH, linewidth=0.9, linestyle=line)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=7)
