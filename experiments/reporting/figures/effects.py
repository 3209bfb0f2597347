"""Who gains and who loses: mean effects by third of each trait, and shares of users worse and better off."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.measures.effects import HARM_METRIC, HARM_SHARE
from experiments.reporting.figures.arms import arm_styles
from experiments.reporting.figures.axes import (
    WIDTH,
    columns_of,
    drawn_or_why,
    floats,
    legend_below,
    panel,
    panels,
    signed,
    zero_lines,
)
from experiments.reporting.figures.curves import CROWD
from experiments.results_schema import Results

_TICKS = ("lower\nthird", "middle\nthird", "upper\nthird")


def missing_effects(results: Results, name: str) -> str | None:
    """Why the figures of effects cannot be drawn, or None if they can."""
    effects = results.get("effects")
    if effects is None:
        return "users' own effects are known in twins with a control arm only"
    return None if effects["arms"] else "nothing but the control was run"


@drawn_or_why(missing_effects)
def effects(results: Results) -> Figure:
    """Mean effect on watch time by third of each trait; with more than ``CROWD`` arms without error bars."""
    effects, styles = results["effects"], arm_styles(results)
    assert effects is not None  # else ``missing_effects`` has a reason
    arms = list(effects["arms"])
    crowded = len(arms) > CROWD
    figure, grid = panels(2, 2, 5.4 + 0.2 * crowded, WIDTH, sharey=True)
    for axes, (trait, words) in zip(grid.flat, effects["traits"].items(), strict=True):
        zero_lines(axes)
        for place, name in enumerate(arms):
            x = np.arange(3) + 0.5 * ((place + 0.5) / len(arms) - 0.5)
            y, low, high = columns_of(effects["arms"][name][HARM_METRIC]["thirds"][trait])
            look: Any = {"label": name, "linestyle": "none", "elinewidth": 0.9, "zorder": 3, **styles[name]}
            axes.errorbar(x, y, yerr=None if crowded else [y - low, high - y], **look)
        axes.set_title(words["title"], fontsize=9)
        axes.set_xticks(range(3), _TICKS)
        axes.set_xlabel(f"{words['low']} \N{RIGHTWARDS ARROW} {words['high']}", fontsize=8)
        axes.set_xlim(-0.5, 2.5)
        signed(axes, "y")
    figure.supylabel(f"effect on watch time against {effects['vs']}\n(min per user and day)", fontsize=9)
    legend_below(figure, grid[0, 0])
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
    axes.barh(place, -worse, color="#D55E00", label="worse off", height=0.7)
    axes.barh(place, better, color="#0072B2", label="better off", height=0.7)
    bars = np.array([net - low, high - net])
    axes.errorbar(net, place, xerr=bars, fmt="D", color="#000000", markersize=4, capsize=2.5, label="net")
    zero_lines(axes, "x")
    axes.set_yticks(place, arms)
    axes.set_xlabel(f"users whose watch time differs by over {100 * HARM_SHARE:g} %\nfrom {effects['vs']} (% of users)")
    signed(axes, "x")
    legend_below(figure, axes)
    return figure
