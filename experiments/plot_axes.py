"""What the figures of differences have in common: a zero line, signed ticks, gaps where nothing is known."""

import numpy as np
from matplotlib.axes import Axes

from sim.arrays import FloatArray


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


def floats(values: list[float | None]) -> FloatArray:
    """(n,) float64, NaN (which matplotlib leaves out) for ``None``."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
