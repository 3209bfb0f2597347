"""Each primary metric's lift so far, with an interval that holds however often one looks."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.metrics import METRICS, PRIMARY
from experiments.reporting.figures.axes import drawn_missing, floats, legend_below, panels_of, signed, zero_lines
from experiments.reporting.figures.curves import Curve, grid_figure
from experiments.reporting.figures.files import STYLE
from experiments.results_schema import Results

_TITLES = {metric.name: metric.title for metric in METRICS}


def missing_sequential(results: Results) -> str | None:
    """Why the figure cannot be drawn, or ``None`` if it can."""
    if not curves_of(results):
        return "no two arms to compare have data"
    return None


def curves_of(results: Results) -> dict[str, dict[str, Curve]]:
    """Title of each primary metric -> arm -> its running lift, where there is any."""
    found: dict[str, dict[str, Curve]] = {}
    for metric in PRIMARY:
        for name, of_arm in results.get("sequential", {}).items():
            curve = of_arm.get(metric)
            if curve is None or all(low is None for low in curve["low"]):
                continue
            title = f"{_TITLES[metric]}, so far, against {curve['vs']} (%)".replace(", ", ",\n")
            days = np.asarray(curve["day"], dtype=float)
            of_metric = found.setdefault(title, {})
            of_metric[name] = Curve(days, curve["relative"], curve["low"], curve["high"])
    return found


def sequential_figure(results: Results, styles: dict[str, dict[str, Any]], crowd: int) -> Figure:
    """A panel a primary metric; with more than ``crowd`` arms, one an arm and metric.

    Args:
        results: as ``results.assemble`` returns them.
        styles: each arm's colour and marker.
        crowd: curves that fit into one panel.
    """
    found = curves_of(results)
    if max(map(len, found.values()), default=0) > crowd:
        return grid_figure(found, "day of the experiment")
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(max(1, len(found)), 0.6 + 2.1 * max(1, len(found)))
        if drawn_missing(panels[0], missing_sequential(results)):
            return figure
        for axes, (title, curves) in zip(panels, found.items(), strict=True):
            zero_lines(axes)
            for name, curve in curves.items():
                low, high, y = (100 * floats(part) for part in (curve.low, curve.high, curve.y))
                axes.fill_between(curve.x, low, high, color=styles[name]["color"], alpha=0.12, linewidth=0)
                axes.plot(curve.x, y, label=name, markevery=max(1, len(y) // 10), **styles[name])
            axes.set_ylabel(title)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            signed(axes, "y")
        panels[-1].set_xlabel("day of the experiment")
        fullest = max(range(len(panels)), key=lambda place: len(list(found.values())[place]))
        legend_below(figure, panels[fullest])
    return figure
