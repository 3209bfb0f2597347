"""Estimates of divided experiments and the true lifts: a dot a world, the mean's interval, and the truth's."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import BLACK, COLOURS, ZERO, dot, named_rows, panels, signed, styled

_METRICS = {
    "watch_minutes_per_user_day": "watch time",
    "positive_rate": "positive feedback",
    "novel_impression_ratio": "novel impressions",
}


@styled
def interference_figure(arms: dict[str, Any]) -> Figure:
    """A panel an arm and metric; rows are the diversions, the truth on top.

    Args:
        arms: as ``experiments.interference.command.biases`` returns it.
    """
    names = list(next(iter(next(iter(arms.values())).values())))  # the truth, then diversions
    height = 0.6 + (0.42 + 0.2 * len(names)) * len(arms)
    figure, grid = panels(len(arms), len(_METRICS), height, sharex="col", sharey=True)
    for row, (arm, of_arm) in enumerate(arms.items()):
        for axes, metric in zip(grid[row], _METRICS, strict=True):
            truth = of_arm[metric]["truth"]
            axes.axvline(0, **{**ZERO, "color": "#bbbbbb"})
            if truth["mean"] is not None:
                axes.axvline(100 * truth["mean"], **{**ZERO, "color": BLACK}, linestyle=":")
            for place, name in enumerate(names):
                value = truth if name == "truth" else of_arm[metric][name]["lift"]
                dot(axes, place, value, BLACK if name == "truth" else COLOURS[(place - 1) % len(COLOURS)])
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.tick_params(labelsize=7)
            signed(axes, "x")
        grid[row, 0].set_ylabel(arm.replace("_", "\n"), fontsize=8)
    for axes, title in zip(grid[0], _METRICS.values(), strict=True):
        axes.set_title(f"{title},\ndifference to control (%)", fontsize=8)
    named_rows(grid[0, 0], ["truth (twins)", *names[1:]])
    return figure
