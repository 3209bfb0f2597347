"""A fit's figure: the difference of each statistic to the log, before and after, and the fitted constants."""

from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.fit.identification import Z
from experiments.reporting.figures.axes import (
    COLOURS,
    NARROW,
    dot,
    legend_below,
    named_rows,
    panels,
    signed,
    styled,
    zero_lines,
)

_BEFORE, _AFTER = COLOURS[0], COLOURS[1]
_EXACT = 2.0  # standard errors up to which the scale is linear; beyond, logarithmic


@styled
def fit_figure(fitted: dict[str, Any], narrow: bool = False) -> Figure:
    """Differences to the log in standard errors, mean and 95 % interval over worlds; and constants in steps.

    Args:
        fitted: as ``experiments.fit.report.record`` returns it.
        narrow: whether for a phone: constants below the statistics instead of at their right.
    """
    rows = [row for row in fitted["statistics"].values() if row["fitted"]]
    constants = fitted["constants"]
    if narrow:
        heights = (0.8 + 0.3 * len(rows), 0.8 + 0.21 * len(constants))
        figure, grid = panels(2, 1, 0.6 + sum(heights), NARROW, height_ratios=heights)
    else:
        height = 1.4 + 0.21 * max(len(rows), len(constants))
        figure, grid = panels(1, 2, height, 7.6, width_ratios=(1.35, 1))
    first, second = grid.flat
    _statistics(first, rows, 30 if narrow else 80)
    _constants(second, constants)
    legend_below(figure, first, 1 if narrow else 3, fontsize=8)
    return figure


def _statistics(axes: Axes, rows: list[dict[str, Any]], width: int) -> None:
    """Differences; row names of at most ``width`` characters a line."""
    axes.axvspan(-_EXACT, _EXACT, color="#eeeeee", zorder=0, label=f"within {_EXACT:g} standard errors")
    zero_lines(axes, "x")
    for when, colour, mark, aside in (("before", _BEFORE, "o", -0.17), ("after", _AFTER, "D", 0.17)):
        for place, row in enumerate(rows):
            off = {key: _off(row, row[when][key]) for key in ("mean", "low", "high")}
            dot(axes, place + aside, off, colour, mark, 1.0, label=f"{when} the fit" if place == 0 else None)
    axes.set_xscale("symlog", linthresh=_EXACT)
    low, high = axes.get_xlim()
    ticks = (0, _EXACT, 5) if max(-low, high) < 10 else (0, _EXACT, 10, 50)
    axes.set_xticks([at for at in sorted({-at for at in ticks} | set(ticks)) if low <= at <= high])
    axes.minorticks_off()
    axes.set_xlabel("simulated \N{MINUS SIGN} logged\n(standard errors)", fontsize=8)
    signed(axes, "x")
    _name_rows(axes, [fill(row["title"], width) for row in rows])


def _off(row: dict[str, Any], value: float | None) -> float | None:
    return None if value is None else (value - row["logged"]) / row["scale"]


def _constants(axes: Axes, constants: dict[str, Any]) -> None:
    zero_lines(axes, "x")
    for place, row in enumerate(constants.values()):
        identified, steps, reach = row["identified"], row["steps"], Z * row["error_steps"]
        lines = "solid" if identified else "dotted"
        axes.hlines(place, steps - reach, steps + reach, color=_AFTER, linewidth=1.2, linestyle=lines)
        axes.plot(steps, place, "D", color=_AFTER, markersize=4, fillstyle="full" if identified else "none")
    axes.set_xlabel("steps from the start\n(hollow: not identified)", fontsize=8)
    signed(axes, "x")
    _name_rows(axes, [name.partition(".")[2] for name in constants])


def _name_rows(axes: Axes, names: list[str]) -> None:
    named_rows(axes, names)
    axes.tick_params(labelsize=7)
