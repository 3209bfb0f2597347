"""Curves of arms over days or N, with their bands: together in a panel, or, if many, each in a panel of its own."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import WIDTH, floats, legend_below, panels, signed, styled, zero_lines
from experiments.reporting.figures.multiples import BEHIND, CROWD, multiples
from sim.arrays import FloatArray


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


def draw_curve(
    axes: Axes, curve: Curve, name: str, style: Mapping[str, Any], worlds: bool = False, shade: float = 0.12
) -> None:
    """A curve in percent with its band, of opacity ``shade``; with ``worlds`` each world's curve faintly behind it."""
    for row in curve.by_world if worlds else ():
        axes.plot(curve.x, 100 * floats(row), color=style["color"], alpha=0.3, linewidth=0.5, zorder=2)
    if len(curve.low):
        ends = 100 * floats(curve.low), 100 * floats(curve.high)
        axes.fill_between(curve.x, *ends, color=style["color"], alpha=shade, linewidth=0)
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
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    signed(axes, "y")


@styled
def curves_figure(
    sets: Mapping[str, Mapping[str, Curve]],
    xlabel: str,
    styles: Mapping[str, Mapping[str, Any]],
    bars: bool = False,
    narrow: bool = False,
) -> Figure:
    """A panel for every set of curves; with more than ``CROWD`` of them, a grid of panels, one an arm.

    Args:
        sets: what the differences are of -> arm -> curve.
        xlabel: of all panels.
        styles: by arm.
        bars: see ``draw_differences``.
        narrow: whether a grid is for a phone.
    """
    if max(map(len, sets.values())) > CROWD:
        return panels_of_arms(sets, xlabel, styles, narrow)
    figure, grid = panels(len(sets), 1, 1.7 + 1.95 * len(sets), WIDTH)
    for axes, (title, curves) in zip(grid[:, 0], sets.items(), strict=True):
        draw_differences(axes, curves, styles, title.replace(", ", ",\n"), bars=bars)
    grid[-1, 0].set_xlabel(xlabel)
    fullest = max(zip(sets.values(), grid[:, 0], strict=True), key=lambda pair: len(pair[0]))
    legend_below(figure, fullest[1])
    return figure


def panels_of_arms(
    sets: Mapping[str, Mapping[str, Curve]],
    xlabel: str,
    styles: Mapping[str, Mapping[str, Any]],
    narrow: bool = False,
    width: float | None = None,
    ground: Callable[[Axes], None] | None = None,
) -> Figure:
    """A grid for every set, in it a panel for every arm: its curve and band, with the other arms' curves behind it.

    Args:
        sets, xlabel, styles: see ``curves_figure``.
        narrow, width: see ``multiples``.
        ground: draws what lies behind the curves.
    """

    def draw(axes: Axes, title: str, arm: str) -> None:
        if ground is not None:
            ground(axes)
        zero_lines(axes)
        for other, curve in sets[title].items():
            if other != arm:
                axes.plot(curve.x, 100 * floats(curve.y), color=BEHIND, linewidth=0.6, zorder=2)
        style = {"color": styles[arm]["color"], "linewidth": 1.4}
        draw_curve(axes, sets[title][arm], arm, style, worlds=True, shade=0.22)
        axes.set_ylim(*limits_of(sets[title].values()))
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        signed(axes, "y")

    return multiples({title: list(curves) for title, curves in sets.items()}, xlabel, draw, narrow, width)


def limits_of(curves: Collection[Curve]) -> tuple[float, float]:
    """An axis in percent for all curves and the half of their bands that is narrower; a very wide band is cut off."""
    values = [each for curve in curves for each in (curve.y, *curve.by_world)]
    y = 100 * np.concatenate([floats(each) for each in values])
    widths = [floats(curve.high) - floats(curve.low) for curve in curves if len(curve.low)]
    half = 50 * np.concatenate(widths) if widths else np.zeros(1)
    low, high = min(float(np.nanmin(y)), 0.0), max(float(np.nanmax(y)), 0.0)
    narrower = float(np.nanmedian(half)) if np.isfinite(half).any() else 0.0
    room = max(0.15 * (high - low), narrower) or 1.0
    return low - room, high + room
