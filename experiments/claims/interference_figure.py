"""What divided experiments report beside what is true: a dot a world, the mean's interval, and the truth's."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import COLOURS, signed
from experiments.reporting.figures.files import STYLE

_METRICS = {
    "watch_minutes_per_user_day": "watch time",
    "positive_rate": "positive feedback",
    "novel_impression_ratio": "novel impressions",
}
_TRUTH = "#000000"


def interference_figure(found: dict[str, Any]) -> Figure:
    """A panel an arm and metric; rows are the diversions, the truth on top.

    Args:
        found: as ``experiments.interference.biases`` returns it.
    """
    arms = list(found)
    names = list(next(iter(found[arms[0]].values())))  # the truth, then diversions
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.6 + (0.42 + 0.2 * len(names)) * len(arms)), layout="constrained")
        panels = figure.subplots(len(arms), len(_METRICS), sharex="col", sharey=True, squeeze=False)
        for row, arm in enumerate(arms):
            for column, (metric, title) in enumerate(_METRICS.items()):
                axes = panels[row, column]
                _panel(axes, found[arm][metric], names)
                if row == 0:
                    axes.set_title(f"{title},\ndifference to control (%)", fontsize=8)
            panels[row, 0].set_ylabel(arm.replace("_", "\n"), fontsize=8)
        panels[0, 0].set_yticks(range(len(names)), ["truth (twins)", *names[1:]])
        panels[0, 0].set_ylim(len(names) - 0.5, -0.5)
    return figure


def _panel(axes: Axes, cells: dict[str, Any], names: list[str]) -> None:
    axes.axvline(0, color="#bbbbbb", linewidth=0.9, zorder=1)
    if cells["truth"]["mean"] is not None:
        axes.axvline(100 * cells["truth"]["mean"], color=_TRUTH, linewidth=0.9, linestyle=":", zorder=1)
    for place, name in enumerate(names):
        value = cells["truth"] if name == "truth" else cells[name]["lift"]
        colour = _TRUTH if name == "truth" else COLOURS[(place - 1) % len(COLOURS)]
        worlds = [100 * each for each in value["by_world"] if each is not None]
        axes.plot(worlds, [place] * len(worlds), ".", color=colour, alpha=0.45, markersize=4, zorder=2)
        if value["low"] is not None:
            axes.hlines(place, 100 * value["low"], 100 * value["high"], color=colour, linewidth=1.2, zorder=3)
        if value["mean"] is not None:
            axes.plot(100 * value["mean"], place, "D", color=colour, markersize=4, zorder=4)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
    signed(axes, "x")
