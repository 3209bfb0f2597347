"""Who gains and who loses: mean effects by third of each trait, and shares of users worse and better off."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.effects import HARM_METRIC, HARM_SHARE
from experiments.reporting.figures.axes import floats, legend_below, signed, zero_lines
from experiments.reporting.figures.files import STYLE
from experiments.results_schema import Effects, Estimate, Results
from sim.arrays import FloatArray

_TICKS = ("lower\nthird", "middle\nthird", "upper\nthird")


def missing_effects(results: Results) -> str | None:
    """Why the figure of effects cannot be drawn, or None if it can."""
    effects = results.get("effects")
    if effects is None:
        return "users' own effects are known in twins with a control arm only"
    return None if effects["arms"] else "nothing but the control was run"


def effects_figure(results: Results, styles: dict[str, dict[str, Any]], crowd: int) -> Figure:
    """Mean effect on watch time by third of each trait; with more than ``crowd`` arms without error bars."""
    effects = _effects(results)
    arms = list(effects["arms"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.4 + 0.2 * (len(arms) > crowd)), layout="constrained")
        panels = figure.subplots(2, 2, sharey=True).flat
        for axes, (trait, words) in zip(panels, effects["traits"].items(), strict=True):
            zero_lines(axes)
            for place, name in enumerate(arms):
                aside = 0.5 * ((place + 0.5) / len(arms) - 0.5)
                thirds = effects["arms"][name][HARM_METRIC]["thirds"][trait]
                _points(axes, aside, thirds, name, styles[name], bars=len(arms) <= crowd)
            axes.set_title(words["title"], fontsize=9)
            axes.set_xticks(range(3), _TICKS)
            axes.set_xlabel(f"{words['low']} \N{RIGHTWARDS ARROW} {words['high']}", fontsize=8)
            axes.set_xlim(-0.5, 2.5)
            signed(axes, "y")
        figure.supylabel(f"effect on watch time against {effects['vs']}\n(min per user and day)", fontsize=9)
        legend_below(figure, figure.axes[0])
    return figure


def harm_figure(results: Results) -> Figure:
    """Shares of users who watch much less or much more than under the control, one bar an arm."""
    effects = _effects(results)
    arms = sorted(effects["harm"], key=lambda name: effects["harm"][name]["net"]["value"] or 0.0)
    place = np.arange(len(arms))
    harm = [effects["harm"][name] for name in arms]
    worse, better = (100 * floats(side) for side in ([of["worse"] for of in harm], [of["better"] for of in harm]))
    net, low, high = (100 * column for column in _columns([of_arm["net"] for of_arm in harm]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 1.5 + 0.3 * len(arms)), layout="constrained")
        axes = figure.subplots()
        axes.barh(place, -worse, color="#D55E00", label="worse off", height=0.7)
        axes.barh(place, better, color="#0072B2", label="better off", height=0.7)
        bars = np.array([net - low, high - net])
        axes.errorbar(net, place, xerr=bars, fmt="D", color="#000000", markersize=4, capsize=2.5, label="net")
        axes.axvline(0, color="#555555", linewidth=0.9)
        axes.set_yticks(place, arms)
        axes.set_xlabel(
            f"users whose watch time differs by over {100 * HARM_SHARE:g} %\nfrom {effects['vs']} (% of users)"
        )
        signed(axes, "x")
        legend_below(figure, axes)
    return figure


def _effects(results: Results) -> Effects:
    """Of results for which ``missing_effects`` names no reason."""
    effects = results.get("effects")
    assert effects is not None
    return effects


def _columns(estimates: list[Estimate]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values and their intervals' ends."""
    rows = [(each["value"], each["low"], each["high"]) for each in estimates]
    value, low, high = (floats([row[place] for row in rows]) for place in range(3))
    return value, low, high


def _points(axes: Axes, aside: float, thirds: list[Estimate], name: str, style: dict[str, Any], bars: bool) -> None:
    y, low, high = _columns(thirds)
    x = np.arange(len(thirds)) + aside
    reach = np.array([y - low, high - y]) if bars else None
    axes.errorbar(x, y, yerr=reach, label=name, linestyle="none", elinewidth=0.9, capsize=0, zorder=3, **style)
