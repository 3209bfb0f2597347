"""Curves of many arms: a panel each, the others in grey behind it, all on the same axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import floats, signed, zero_lines
from experiments.reporting.figures.files import STYLE
from sim.arrays import FloatArray

_COLUMNS = 4
_BEHIND, _SHOWN = "#d0d0d0", "#0072B2"


@dataclass(frozen=True)
class Curve:
    """One arm's differences over days or N.

    Attributes:
        x: (n,).
        y, low, high: (n,) relative differences, None where unknown; 0.1 is 10 %.
    """

    x: FloatArray
    y: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]


def grid_figure(sets: dict[str, dict[str, Curve]], xlabel: str) -> Figure:
    """A grid of panels for every set of curves, one under the other.

    Args:
        sets: what the differences are of (the grid's title) -> arm -> curve.
        xlabel: of all panels.
    """
    rows = -(-max(len(curves) for curves in sets.values()) // _COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, len(sets) * (1.25 * rows + 0.6)), layout="constrained")
        parts = figure.subfigures(len(sets), 1, squeeze=False)[:, 0]
        for part, (title, curves) in zip(parts, sets.items(), strict=True):
            _grid(part, title, curves, rows, xlabel)
    return figure


def _grid(part: SubFigure, title: str, curves: dict[str, Curve], rows: int, xlabel: str) -> None:
    panels = part.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    part.supylabel(title, fontsize=9)
    part.supxlabel(xlabel, fontsize=9)
    for place, axes in enumerate(panels.flat):
        if place >= len(curves):
            axes.set_visible(False)
            continue
        _panel(axes, list(curves)[place], curves)
    for axes in panels.flat[max(0, len(curves) - _COLUMNS) : len(curves)]:
        axes.tick_params(labelbottom=True)  # also where the panel below is empty


def _panel(axes: Axes, name: str, curves: dict[str, Curve]) -> None:
    zero_lines(axes)
    for other, curve in curves.items():
        if other != name:
            axes.plot(curve.x, 100 * floats(curve.y), color=_BEHIND, linewidth=0.7, zorder=2)
    shown = curves[name]
    axes.fill_between(
        shown.x, 100 * floats(shown.low), 100 * floats(shown.high), color=_SHOWN, alpha=0.25, linewidth=0, zorder=3
    )
    axes.plot(shown.x, 100 * floats(shown.y), color=_SHOWN, linewidth=1.4, zorder=4)
    axes.set_title(name, fontsize=8, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
    signed(axes, "y")
