"""What figures have in common: style, panels, colours, legends, zero lines, rows, gaps where nothing is known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.reporting.figures.files import STYLE
from experiments.reporting.text import ends, minus
from experiments.results_schema import Results
from sim.arrays import FloatArray

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The palette of Okabe and Ito (2008), without yellow."""

MARKERS = ("o", "^", "s", "v", "P", "X", "<", ">")
GREY, BLACK = "#767676", "#000000"
ZERO: Any = {"color": "#555555", "linewidth": 0.9, "zorder": 1}
"""Look of the line where there is no difference."""

WIDTH, BROAD, NARROW = 4.4, 7.2, 3.7
"""Inches. One column of a page, which a phone can show too if text has 8 points or more; the whole page; a phone alone,
where 7 points are the least: a phone has some 360 pixels for a figure, and text of 9 pixels can be read."""

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A figure drawn in the project's style."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def drawn_or_why(
    missing: Callable[[Results, str], str | None],
) -> Callable[[Callable[Concatenate[Results, P], Figure]], Callable[Concatenate[Results, P], Figure]]:
    """A figure of results, or in words why there is none.

    Args:
        missing: gives the reason, by the name of the function that draws; ``None`` where there is none.
    """

    def decorated(draw: Callable[Concatenate[Results, P], Figure]) -> Callable[Concatenate[Results, P], Figure]:
        @styled
        @wraps(draw)
        def drawn(results: Results, /, *args: P.args, **kwargs: P.kwargs) -> Figure:
            reason = missing(results, draw.__name__)
            if reason is None:
                return draw(results, *args, **kwargs)
            figure, axes = panel(3.6)
            axes.set_axis_off()
            text = f"Not available:\n{reason}."
            axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, transform=axes.transAxes)
            return figure

        return drawn

    return decorated


def panels(rows: int, columns: int, height: float, width: float = BROAD, **options: Any) -> tuple[Figure, Any]:
    """A figure of so many inches and its (rows, columns) panels; ``options`` are those of ``Figure.subplots``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def panel(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of one panel."""
    figure, grid = panels(1, 1, height, width)
    return figure, grid[0, 0]


def zero_lines(axes: Axes, which: str = "y") -> None:
    """Draw where there is no difference on the axes named ("x", "y", "xy")."""
    if "y" in which:
        axes.axhline(0, **ZERO)
    if "x" in which:
        axes.axvline(0, **ZERO)


def signed(axes: Axes, which: str) -> None:
    """Ticks as +5 and -5 on the axes named ("x", "y", "xy"): they are differences."""

    def label(value: float, _: float) -> str:
        return minus(f"{value:+g}") if abs(value) > 1e-9 else "0"

    for axis in ([axes.xaxis] if "x" in which else []) + ([axes.yaxis] if "y" in which else []):
        axis.set_major_formatter(label)


def floats(values: Iterable[float | None]) -> FloatArray:
    """(n,) float64, NaN (which matplotlib leaves out) for ``None``."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(n,) values and both ends of their intervals, see ``text.ends``."""
    value, low, high = (floats(column) for column in zip(*map(ends, rows), strict=True))
    return value, low, high


def legend_below(figure: Figure, axes: Axes, columns: int | None = None, **options: Any) -> None:
    """Below the axes, where it can never cover a point; by default narrow enough for a column of a page."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    columns = columns or (3 if max(map(len, labels)) <= 18 else 2)
    place: Any = {"loc": "outside lower center", "ncols": min(columns, len(labels)), "columnspacing": 1.4}
    figure.legend(handles, labels, **place, **options)


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """Rows from top to bottom, one a name."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def dot(
    axes: Axes,
    place: float,
    row: Mapping[str, Any],
    colour: str,
    marker: str = "D",
    factor: float = 100.0,
    worlds: str | None = None,
    **style: Any,
) -> None:
    """A row's value with its interval, and a point for each world.

    Args:
        axes: whose rows are y.
        place: of the row.
        row: see ``text.ends``; with ``by_world`` where worlds are to be seen.
        colour, marker: of the value and its interval.
        factor: 100 shows shares in percent.
        worlds: colour of the worlds' points; as the value's, but faint, if not given.
        style: of the value's marker.
    """
    value, low, high = ends(row)
    points = [factor * each for each in row.get("by_world", ()) if each is not None]
    faint = {"color": colour, "alpha": 0.45} if worlds is None else {"color": worlds}
    if points:
        axes.plot(points, [place] * len(points), ".", markersize=4, zorder=2, **faint)
    if low is not None and high is not None:
        axes.hlines(place, factor * low, factor * high, color=colour, linewidth=1.2, zorder=3)
    if value is not None:
        look: Any = {"markersize": 7, "markeredgewidth": 1.6} if marker == "|" else {"markersize": 4}
        axes.plot(factor * value, place, marker, color=colour, zorder=4, **look, **style)
