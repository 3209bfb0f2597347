"""What divided experiments report, and what is true: a dot a world, the mean's interval, and the truth's."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import BLACK, COLOURS, NARROW, ZERO, dot, named_rows, panels, signed, styled

_METRICS = {
    "watch_minutes_per_user_day": "watch time",
    "positive_rate": "positive feedback",
    "novel_impression_ratio": "novel impressions",
}


@styled
def interference_figure(arms: dict[str, Any], narrow: bool = False) -> Figure:
    """A panel an arm and metric; rows are the diversions, the truth on top.

    Args:
        arms: as ``experiments.interference.command.biases`` returns it.
        narrow: whether for a phone: panels below each other, instead of a row an arm.
    """
    cells = next(iter(next(iter(arms.values())).values()))
    names = ["truth", *(name for name in cells if name != "truth")]  # a file has them by name
    height = 0.42 + 0.2 * len(names)
    if narrow:
        figure, stack = panels(
            len(arms) * len(_METRICS), 1, (height + 0.1) * len(arms) * len(_METRICS), NARROW, sharey=True
        )
        grid = stack.reshape(len(_METRICS), len(arms)).T
    else:
        figure, grid = panels(len(arms), len(_METRICS), 0.6 + height * len(arms), sharex="col", sharey=True)
    for row, (arm, of_arm) in zip(grid, arms.items(), strict=True):
        for axes, (metric, title) in zip(row, _METRICS.items(), strict=True):
            _panel(axes, of_arm[metric], names)
            if narrow:
                axes.set_title(f"{arm}: {title},\ndifference to control (%)", fontsize=8, loc="left")
        if not narrow:
            row[0].set_ylabel(arm.replace("_", "_\n"), fontsize=8)
    for axes, title in zip(grid[0] if not narrow else (), _METRICS.values(), strict=False):
        axes.set_title(f"{title},\ndifference to control (%)", fontsize=8)
    named_rows(grid[0, 0], ["truth (twins)", *names[1:]])
    return figure


def _panel(axes: Axes, of_metric: dict[str, Any], names: list[str]) -> None:
    truth = of_metric["truth"]
    axes.axvline(0, **{**ZERO, "color": "#bbbbbb"})
    if truth["mean"] is not None:
        axes.axvline(100 * truth["mean"], **{**ZERO, "color": BLACK}, linestyle=":")
    for place, name in enumerate(names):
        value = truth if name == "truth" else of_metric[name]["lift"]
        dot(axes, place, value, BLACK if name == "truth" else COLOURS[(place - 1) % len(COLOURS)])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
    signed(axes, "x")
