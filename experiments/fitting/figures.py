"""A fit at a glance: how far each statistic is off the log's, before and after, and where the constants went."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.fitting.identification import Z
from experiments.reporting.figures.axes import COLOURS, signed
from experiments.reporting.figures.files import STYLE

_BEFORE, _AFTER = COLOURS[0], COLOURS[1]
_TICKS = (-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50)
_EXACT = 2.0  # standard errors up to which the scale is linear; beyond, logarithmic


def fit_figure(found: dict[str, Any]) -> Figure:
    """Left: differences to the log in standard errors, mean and 95 % interval over worlds. Right: constants in steps.

    Args:
        found: as ``experiments.fitting.report.record`` returns it.
    """
    rows = [row for row in found["statistics"].values() if row["fitted"]]
    height = 1.4 + 0.21 * max(len(rows), len(found["constants"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.6, height), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
        _statistics(left, rows)
        _constants(right, found["constants"])
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _statistics(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.axvspan(-_EXACT, _EXACT, color="#eeeeee", zorder=0, label=f"within {_EXACT:g} standard errors")
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    for when, colour, mark, aside in (("before", _BEFORE, "o", -0.17), ("after", _AFTER, "D", 0.17)):
        y = np.arange(len(rows)) + aside
        ends = [[_off(row, row[when][key]) for row in rows] for key in ("mean", "low", "high")]
        middle, low, high = np.array(ends, np.float64)
        axes.hlines(y, low, high, color=colour, linewidth=1.1, zorder=2)
        axes.plot(middle, y, mark, color=colour, markersize=4, zorder=3, label=f"{when} the fit")
    axes.set_xscale("symlog", linthresh=_EXACT)
    low, high = axes.get_xlim()
    axes.set_xticks([at for at in _TICKS if low <= at <= high])
    axes.minorticks_off()
    axes.set_xlabel("simulated \N{MINUS SIGN} logged\n(standard errors)", fontsize=8)
    signed(axes, "x")
    _name_rows(axes, [row["title"] for row in rows])


def _off(row: dict[str, Any], value: float | None) -> float:
    return np.nan if value is None else (value - row["logged"]) / row["scale"]


def _constants(axes: Axes, constants: dict[str, Any]) -> None:
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    for place, row in enumerate(constants.values()):
        told = row["identified"]
        axes.hlines(
            place,
            row["steps"] - Z * row["error_steps"],
            row["steps"] + Z * row["error_steps"],
            color=_AFTER,
            linewidth=1.1,
            linestyle="solid" if told else "dotted",
        )
        axes.plot(row["steps"], place, "D", color=_AFTER, markersize=4, fillstyle="full" if told else "none")
    axes.set_xlabel("steps from the start\n(hollow: not identified)", fontsize=8)
    signed(axes, "x")
    _name_rows(axes, [name.partition(".")[2] for name in constants])


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(labelsize=7)
