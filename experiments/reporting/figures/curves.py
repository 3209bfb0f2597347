"""Curves of arms over days or N, with their bands: together in a panel, or, if many, each in a panel of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import BROAD, floats, legend_below, panels, signed, styled, zero_lines
from sim.arrays import FloatArray

CROWD = 8
"""With more curves than this, each gets a panel of its own."""

_COLUMNS = 4
_BEHIND, _SHOWN = "#d0d0d0", "#0072B2"


@dataclass(frozen=True)
class Curve:
    """One arm's differences over days or N.

    Attributes:
        x: (n,).
        y, low, high: (n,) relative differences, None where unknown; 0.1 is 10 %. Both ends are empty without a band.
        by_world: (n,) each, the curves whose mean this is.
    """

    x: Sequence[float] | FloatArray
    y: Sequence[float | None] | FloatArray
    low: Sequence[float | None] | FloatArray = ()
    high: Sequence[float | None] | FloatArray = ()
    by_world: Sequence[Sequence[float]] = ()


def draw_curve(axes: Axes, curve: Curve, name: str, style: Mapping[str, Any], worlds: bool = False) -> None:
    """A curve in percent with its band; with ``worlds`` each world's faintly behind it."""
    for row in curve.by_world if worlds else ():
        axes.plot(curve.x, 100 * floats(row), color=style["color"], alpha=0.3, linewidth=0.5, zorder=2)
    if len(curve.low):
        ends = 100 * floats(curve.low), 100 * floats(curve.high)
        axes.fill_between(curve.x, *ends, color=style["color"], alpha=0.12, linewidth=0)
    axes.plot(curve.x, 100 * floats(curve.y), label=name, markevery=max(1, len(curve.x) // 8), zorder=3, **style)


def draw_differences(
    axes: Axes,
    curves: Mapping[str, Curve],
    styles: Mapping[str, Mapping[str, Any]],
    title: str,
    worlds: Collection[str] = (),
    bars: bool = False,
) -> None:
    """Arms' differences over whole numbers, such as days.

    Args:
        axes: where.
        curves, styles: by arm.
        title: of the y axis.
        worlds: arms of which each world is shown.
        bars: whether intervals are bars, side by side, instead of bands.
    """
    zero_lines(axes)
    for place, (name, curve) in enumerate(curves.items()):
        if bars:
            y, low, high = (100 * floats(part) for part in (curve.y, curve.low, curve.high))
            aside = 0.09 * (place - (len(curves) - 1) / 2)  # so that they do not hide each other
            look: Any = {"label": name, "elinewidth": 0.9, "capsize": 0, **styles[name]}
            axes.errorbar(floats(curve.x) + aside, y, yerr=[y - low, high - y], **look)
        else:
            draw_curve(axes, curve, name, styles[name], name in worlds)
    axes.set_ylabel(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    signed(axes, "y")


@styled
def curves_figure(
    sets: Mapping[str, Mapping[str, Curve]], xlabel: str, styles: Mapping[str, Mapping[str, Any]], bars: bool = False
) -> Figure:
    """A panel for every set of curves; with more than ``CROWD`` of them, a grid of panels.

    Args:
        sets: what the differences are of -> arm -> curve.
        xlabel: of all panels.
        styles: by arm.
        bars: see ``draw_differences``.
    """
    if max(map(len, sets.values())) > CROWD:
        return _grids(sets, xlabel)
    figure, grid = panels(len(sets), 1, 1.7 + 1.95 * len(sets), 5.2)
    for axes, (title, curves) in zip(grid[:, 0], sets.items(), strict=True):
        draw_differences(axes, curves, styles, title, bars=bars)
    grid[-1, 0].set_xlabel(xlabel)
    fullest = max(zip(sets.values(), grid[:, 0], strict=True), key=lambda pair: len(pair[0]))
    legend_below(figure, fullest[1])
    return figure


def _grids(sets: Mapping[str, Mapping[str, Curve]], xlabel: str) -> Figure:
    """A grid of panels for every set of curves, one under the other: the others in grey behind each curve."""
    rows = -(-max(len(curves) for curves in sets.values()) // _COLUMNS)
    figure = Figure(figsize=(BROAD, len(sets) * (1.25 * rows + 0.6)), layout="constrained")
    parts = figure.subfigures(len(sets), 1, squeeze=False)[:, 0]
    for part, (title, curves) in zip(parts, sets.items(), strict=True):
        _grid(part, title, curves, rows, xlabel)
    return figure


def _grid(part: SubFigure, title: str, curves: Mapping[str, Curve], rows: int, xlabel: str) -> None:
    grid = part.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    part.supylabel(title, fontsize=9)
    part.supxlabel(xlabel, fontsize=9)
    for axes, name in zip(grid.flat, curves, strict=False):
        _panel(axes, name, curves)
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(curves) - _COLUMNS) : len(curves)]:
        axes.tick_params(labelbottom=True)  # also where the panel below is empty


def _panel(axes: Axes, name: str, curves: Mapping[str, Curve]) -> None:
    zero_lines(axes)
    for other, curve in curves.items():
        if other != name:
            axes.plot(curve.x, 100 * floats(curve.y), color=_BEHIND, linewidth=0.7, zorder=2)
    draw_curve(axes, curves[name], name, {"color": _SHOWN, "linewidth": 1.4})
    axes.set_title(name, fontsize=8, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
    signed(axes, "y")
