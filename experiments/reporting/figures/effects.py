"""Who gains and who loses: mean effects by third of each trait, and shares of users worse and better off."""

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.measures.effects import HARM_METRIC, HARM_SHARE
from experiments.reporting.figures.axes import (
    BLACK,
    COLOURS,
    GREY,
    WIDTH,
    columns_of,
    dot,
    drawn_or_why,
    floats,
    legend_below,
    named_rows,
    panel,
    panels,
    signed,
    zero_lines,
)
from experiments.results_schema import Results

_THIRDS: dict[str, dict[str, Any]] = {
    "lower third": {"colour": COLOURS[0], "marker": "o"},
    "middle third": {"colour": GREY, "marker": "s"},
    "upper third": {"colour": COLOURS[1], "marker": "D"},
}


def missing_effects(results: Results, name: str) -> str | None:
    """Why the figures of effects cannot be drawn, or None if they can."""
    effects = results.get("effects")
    if effects is None:
        return "users' own effects are known in twins with a control arm only"
    return None if effects["arms"] else "nothing but the control was run"


@drawn_or_why(missing_effects)
def effects(results: Results) -> Figure:
    """Mean effect on watch time by third of each trait: a panel a trait, a row an arm, in it a dot a third."""
    effects = results["effects"]
    assert effects is not None  # else ``missing_effects`` has a reason
    arms = list(effects["arms"])
    figure, grid = panels(2, 2, 2.0 + 2 * (0.6 + 0.3 * len(arms)), WIDTH, sharex=True, sharey=True)
    for axes, (trait, words) in zip(grid.flat, effects["traits"].items(), strict=True):
        zero_lines(axes, "x")
        for place, arm in enumerate(arms):
            thirds = effects["arms"][arm][HARM_METRIC]["thirds"][trait]
            for k, (third, (label, look)) in enumerate(zip(thirds, _THIRDS.items(), strict=True)):
                named = label if place == 0 else None
                dot(axes, place + 0.25 * (k - 1), third, **look, factor=1.0, label=named)
        axes.set_title(fill(words["title"], 24), fontsize=9)
        axes.set_xlabel(fill(f"{words['low']} \N{RIGHTWARDS ARROW} {words['high']}", 26), fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(axis="y", visible=False)
        signed(axes, "x")
    named_rows(grid[0, 0], arms)
    figure.supxlabel(f"effect on watch time against {effects['vs']} (min per user and day)", fontsize=8)
    # On top: the layout does not see that a legend below would lie on the label of the figure.
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, columnspacing=1.4)
    return figure


@drawn_or_why(missing_effects)
def harm(results: Results) -> Figure:
    """Shares of users who watch much less or much more than under the control, one bar an arm."""
    effects = results["effects"]
    assert effects is not None
    arms = sorted(effects["harm"], key=lambda name: effects["harm"][name]["net"]["value"] or 0.0)
    place = np.arange(len(arms))
    harm = [effects["harm"][name] for name in arms]
    worse, better = (100 * floats(side) for side in ([of["worse"] for of in harm], [of["better"] for of in harm]))
    net, low, high = (100 * column for column in columns_of([of_arm["net"] for of_arm in harm]))
    figure, axes = panel(1.5 + 0.3 * len(arms))
    axes.barh(place, -worse, color=COLOURS[0], label="worse off", height=0.7)
    axes.barh(place, better, color=COLOURS[1], label="better off", height=0.7)
    bars = np.array([net - low, high - net])
    axes.errorbar(net, place, xerr=bars, fmt="D", color=BLACK, markersize=4, capsize=2.5, label="net")
    zero_lines(axes, "x")
    axes.set_yticks(place, arms)
    axes.set_xlabel(f"users whose watch time differs by over {100 * HARM_SHARE:g} %\nfrom {effects['vs']} (% of users)")
    signed(axes, "x")
    legend_below(figure, axes)
    return figure
