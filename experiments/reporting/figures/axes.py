"""What figures have in common: panels, colours, a legend, a zero line, signed ticks, gaps where nothing is known."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.arrays import FloatArray

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The palette of Okabe and Ito (2008), without yellow."""

MARKERS = ("o", "^", "s", "v", "P", "X", "<", ">")

_WIDTH = 5.2  # inches: one column of a paper, and still legible at the width of a phone


def zero_lines(axes: Axes, vertical: bool = False) -> None:
    """Draw where there is no difference."""
    axes.axhline(0, color="#555555", linewidth=0.9, zorder=1)
    if vertical:
        axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)


def signed(axes: Axes, which: str) -> None:
    """Ticks as +5 and -5 on the axes named ("x", "y", "xy"): they are differences."""

    def label(value: float, _: float) -> str:
        return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if abs(value) > 1e-9 else "0"

    for axis in ([axes.xaxis] if "x" in which else []) + ([axes.yaxis] if "y" in which else []):
        axis.set_major_formatter(label)


def floats(values: Sequence[float | None]) -> FloatArray:
    """(n,) float64, NaN (which matplotlib leaves out) for ``None``."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def panels_of(num: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of ``num`` panels, one below the other, ``height`` inches in all."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    panels = figure.subplots(num, 1, squeeze=False)
    return figure, list(panels[:, 0])


def drawn_missing(axes: Axes, reason: str | None) -> bool:
    """Say in words why there is nothing to draw, if there is a reason; whether there was."""
    if reason is None:
        return False
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"Not available:\n{reason}.", ha="center", va="center", wrap=True, transform=axes.transAxes)
    return True


def legend_below(figure: Figure, axes: Axes) -> None:
    """Below the axes, where it can never cover a point; narrow enough for three columns."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 3 if max(map(len, labels), default=0) <= 18 else 2
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), columnspacing=1.4)
