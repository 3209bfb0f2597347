"""The arena's figures: estimates and two truths, by agent; and how estimators fare as logs grow."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from experiments.arena.rewards import REWARDS
from experiments.arena.schema import ArenaResults, JudgedAgent, PolicyRow
from experiments.arena.summary import total
from experiments.reporting.figures.axes import (
    BLACK,
    COLOURS,
    MARKERS,
    NARROW,
    legend_below,
    named_rows,
    panels,
    styled,
)

DRAWN = ("ips", "snips", "dm", "dr", "reward_interaction")
"""Estimators that are drawn with the truth."""

BY_SIZE = ("ips", "ips_clipped", "snips", "dm", "dr", "switch_dr", "standard", "reward_interaction", "pseudo_inverse")
"""Estimators over the size of the log."""

NAMES = {
    "logged": "log's mean",
    "ips": "IPS",
    "ips_clipped": "clipped IPS",
    "snips": "SNIPS",
    "dm": "direct method",
    "dr": "doubly robust",
    "switch_dr": "switch-DR",
    "standard": "whole-slate IPS",
    "reward_interaction": "cascade IPS",
    "pseudo_inverse": "pseudo-inverse",
}
"""What figures and pages call the estimators of ``experiments.off_policy.evaluation``."""

_SEEN, _TRUTH = "#d9d9d9", BLACK
_WIDE = 8.4  # inches
_SCALE = {"positive": 100.0, "watch": 1.0, "novel_positive": 100.0}
_UNITS = {"positive": "positives (% of slots)", "watch": "watch time (s a slot)",
          "novel_positive": "novel positives (% of slots)"}  # fmt: skip


@styled
def arena_figure(arena: ArenaResults, narrow: bool = False) -> Figure:
    """A panel a logging policy and metric; agents from the least exploring to the most.

    Args:
        arena: as ``experiments.arena.summary.summarise`` returns it.
        narrow: whether for a phone: all panels below each other, instead of a row a logging policy.
    """
    agents, policies = arena["agents"], arena["logging"]
    height = 0.9 + len(policies) * (0.5 + 0.33 * len(agents))
    if narrow:
        shape, size = (len(policies) * len(REWARDS), 1), (1.4 + (height - 0.7) * len(REWARDS), NARROW)
    else:
        shape, size = (len(policies), len(REWARDS)), (height, _WIDE)
    figure, grid = panels(*shape, *size, sharex=False if narrow else "col", sharey=True)
    for row, (policy, each) in zip(grid.reshape(len(policies), len(REWARDS)), policies.items(), strict=True):
        for axes, metric in zip(row, REWARDS, strict=True):
            _beside_truth(axes, arena, each, metric)
            if narrow:
                axes.set_title(f"logged by {policy}:\n{_UNITS[metric]}", fontsize=8, loc="left")
        if not narrow:
            row[0].set_ylabel(f"logged by {policy}", fontsize=8)
    for axes, metric in zip(grid[0] if not narrow else (), REWARDS, strict=False):
        axes.set_title(_UNITS[metric], fontsize=8)
    named_rows(grid[0, 0], [f"{name} ({100 * arena['novel'][name]:.0f}%)" for name in agents])
    columns = 2 if narrow else 4
    figure.legend(handles=_legend(), loc="outside lower center", ncols=columns, fontsize=7, columnspacing=1.4)
    return figure


def _legend() -> list[Any]:
    plain: dict[str, Any] = {"color": _TRUTH, "linestyle": ""}
    truths = [
        Patch(color=_SEEN, label="truth, part in the log's reach"),
        Line2D([], [], **plain, marker="|", markersize=9, label="truth at the same requests"),
        Line2D([], [], **plain, marker="D", markerfacecolor="white", markersize=4, label="truth, A/B"),
    ]
    dots = [
        Line2D([], [], color=COLOURS[k], marker=MARKERS[k], linestyle="", markersize=3.5, label=NAMES[name])
        for k, name in enumerate(DRAWN)
    ]
    return truths + dots


def _beside_truth(axes: Axes, arena: ArenaResults, of_policy: PolicyRow, metric: str) -> None:
    agents, scale = arena["agents"], _SCALE[metric]
    truth = np.array([of_policy["truth"][name][metric]["value"] for name in agents]) * scale
    live = np.array([arena["live"][name][metric]["value"] for name in agents]) * scale
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
def sizes_figure(arena: ArenaResults, metric: str, narrow: bool = False) -> Figure:
    """Error, coverage and ranking over the size of the log; a column a logging policy.

    Args:
        arena: as ``experiments.arena.summary.summarise`` returns it.
        metric: one of ``REWARDS``.
        narrow: whether for a phone: a row a logging policy and measure.
    """
    policies = arena["logging"]
    rows = ("median error\n(% of the truth)", "intervals that\nhold the truth (%)", "rank correlation\nwith the A/B")
    if narrow:
        figure, stack = panels(3 * len(policies), 1, 1.2 + 3.9 * len(policies), NARROW, sharex=True)
        grid = stack.reshape(len(policies), 3).T
    else:
        width = min(_WIDE, 1.2 + 2.3 * len(policies))
        figure, grid = panels(3, len(policies), 5.6, width, sharex=True, sharey="row")
    for column, (policy, each) in zip(grid.T, policies.items(), strict=True):
        _scales(column)
        _over_sizes(column, each, metric)
        column[0].set_title(f"logged by {policy}", fontsize=8)
        column[2].set_xlabel("impressions", fontsize=8)
        column[2].tick_params(labelbottom=True)
        for axes, title in zip(column if narrow else (), rows, strict=False):
            axes.set_ylabel(title, fontsize=7)
    sizes = sorted({int(size) for each in policies.values() for size in each["sizes"]})
    for axes in grid.flat:
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    for axes, title in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(title, fontsize=7 if narrow else 8)
    legend_below(figure, grid[0, 0], 2 if narrow else 5, fontsize=7)
    return figure


def _scales(column: Any) -> None:
    """Scales of error, coverage and ranking; set first, since a policy may have no log to draw.

    An axis without data would keep the limits of the linear scale, which a logarithmic one has no ticks for.
    """
    for axes in column:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=7)
    column[0].set_yscale("log")
    column[0].yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    column[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    column[0].yaxis.set_minor_formatter(NullFormatter())
    column[1].set_ylim(-3, 103)
    column[2].set_ylim(-1.05, 1.05)


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
            axes.plot(sizes, values, label=NAMES[estimator], **style)
    panels[1].axhline(95, color="#555555", linewidth=0.8, linestyle=":")
    limits = of_policy["limits"][metric]
    for limit, line in ((limits["truth"], "-"), (limits["seen"], ":")):
        if limit["tau"] is not None:
            panels[2].axhline(limit["tau"], color=_TRUTH, linewidth=0.9, linestyle=line)
