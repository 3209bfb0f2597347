"""The paper's figures, drawn from the dictionary of ``results.json``.

Every arm has one colour and marker in all figures, from the palette of Okabe and Ito (2008,
"Color Universal Design"), which people with colour-blindness can tell apart. Figures are built
with matplotlib's objects, without pyplot's global state, and the same results give the same SVG
bytes. A figure whose data are missing says so in words; ``missing`` gives the reason.
"""

from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import (
    COLOURS,
    MARKERS,
    drawn_missing,
    floats,
    legend_below,
    panels_of,
    signed,
    zero_lines,
)
from experiments.reporting.figures.curves import Curve, grid_figure
from experiments.reporting.figures.effects import effects_figure, harm_figure, missing_effects
from experiments.reporting.figures.files import STYLE
from experiments.reporting.figures.language_model import figure_3, figure_4a, missing_llm
from experiments.reporting.figures.sequential import missing_sequential, sequential_figure
from experiments.results_schema import DailySeries, LiftRow, MetricName, Results, Series
from sim.arrays import FloatArray

NOVELTY: MetricName = "novel_impression_ratio_agent_slots"
FEEDBACK: MetricName = "positive_rate_agent_slots"
"""Figure 4b's axes."""

Span = tuple[float, float | None, float | None]
"""A lift, and the ends of its interval."""

Point = tuple[Span, Span]

_NEAR = 0.3  # relative difference up to which Figure 4b's second panel reaches
CROWD = 8
"""With more curves than this, each gets a panel of its own."""

_DAILY: dict[str, DailySeries] = {"watch time per user": "watch_minutes", "users with 10 min or more": "active_users"}
"""Figure 5's panels."""

_BAND_DAYS = 10  # with more days than this, Figure 5 draws intervals as bands instead of bars


def arm_styles(results: Results) -> dict[str, dict[str, Any]]:
    """Colour and marker of every arm: the control grey, the reference black, others by name.

    Styles go by sorted name, not by position, so that a JSON file with sorted keys and a report
    that lists the arms in another order draw them alike.
    """
    return styles_of(results["arms"], *baselines(results))


def styles_of(arms: Iterable[str], control: str | None, reference: str | None) -> dict[str, dict[str, Any]]:
    """``arm_styles`` of arms by name."""
    styles: dict[str, dict[str, Any]] = {}
    others = 0
    for name in sorted(arms):
        if name == reference:
            styles[name] = {"color": "#000000", "marker": "D"}
        elif name == control:
            styles[name] = {"color": "#767676", "marker": "d"}
        else:
            styles[name] = {"color": COLOURS[others % len(COLOURS)], "marker": MARKERS[others % len(MARKERS)]}
            others += 1
    return styles


def baselines(results: Results) -> tuple[str | None, str | None]:
    """``(control, reference)``: whom lifts on the feed and on the agent's slots are against."""
    slots = (lifts[NOVELTY]["vs"] if NOVELTY in lifts else None for lifts in results["lifts"].values())
    return results["daily"]["vs"], next((name for name in slots if name is not None), None)


def missing(results: Results, name: str) -> str | None:
    """Why figure ``name`` (``"figure_4b"`` and so on) cannot be drawn, or ``None`` if it can."""
    control, reference = baselines(results)
    if name in ("figure_3", "figure_4a"):
        return missing_llm(results, name)
    if name == "figure_4b":
        if reference is None:
            return "the reference arm was not run"
        if not _points(results):
            return "no arm has impressions on its agent's slots to compare with the reference's"
    if name == "figure_4c" and not any(curve["n"] for curve in results["uci"].values()):
        return "no second arm, or too few users of the reference arm to compare with"
    if name == "figure_5" and (control is None or not results["daily"]["arms"]):
        return "the control arm was not run, or nothing else was"
    if name == "sequential":
        return missing_sequential(results)
    if name in ("effects", "harm"):
        return missing_effects(results)
    return None


def figures_of(results: Results) -> dict[str, Figure]:
    """Every figure that these results have the data for, by name."""
    draws = (figure_3, figure_4a, figure_4b, figure_4c, figure_5, sequential, effects, harm)
    return {draw.__name__: draw(results) for draw in draws if missing(results, draw.__name__) is None}


def figure_4b(results: Results) -> Figure:
    """Novel impressions against positive feedback on the agent's slots, relative to the reference.

    Where some arms lie far off, a second panel magnifies those within ``_NEAR`` of the reference.
    """
    _, reference = baselines(results)
    points = _points(results)
    near = {name: pair for name, pair in points.items() if all(abs(lift[0]) < _NEAR for lift in pair)}
    apart = 0 < len(near) < len(points)
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(1 + apart, 3.9 + 3.1 * apart)
        if drawn_missing(panels[0], missing(results, "figure_4b")):
            return figure
        for axes, shown in zip(panels, (points, near), strict=False):
            _draw_4b(axes, results, shown)
        panels[-1].set_xlabel(_difference("novel impression ratio", reference))
        if apart:
            panels[1].set_title(f"magnified: arms near {reference}", fontsize=9)
        legend_below(figure, panels[0])
    return figure


def _draw_4b(axes: Axes, results: Results, points: dict[str, Point]) -> None:
    _, reference = baselines(results)
    styles = arm_styles(results)
    zero_lines(axes, vertical=True)
    axes.plot([0], [0], linestyle="none", label=f"{reference} (reference)", zorder=4, **styles[str(reference)])
    for name, (x, y) in points.items():
        axes.errorbar(
            [100 * x[0]],
            [100 * y[0]],
            xerr=_reach(*x),
            yerr=_reach(*y),
            linestyle="none",
            elinewidth=1.1,
            capsize=2.5,
            label=name,
            zorder=3,
            **styles[name],
        )
    axes.set_ylabel(_difference("positive feedback rate", reference))
    axes.margins(0.12)
    signed(axes, "xy")


def figure_4c(results: Results) -> Figure:
    """UCI@N: lift in users with at least N clusters in seven days, with simultaneous bands."""
    if missing(results, "figure_4c") is None and sum(bool(c["n"]) for c in results["uci"].values()) > CROWD:
        return crowded_4c(results)
    styles = arm_styles(results)
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 3.7)
        if drawn_missing(axes, missing(results, "figure_4c")):
            return figure
        zero_lines(axes)
        last = 1
        for name, curve in results["uci"].items():
            n = np.asarray(curve["n"], dtype=float)
            if not len(n):
                continue
            last = max(last, int(n[-1]))
            low, high = 100 * floats(curve["low"]), 100 * floats(curve["high"])
            axes.fill_between(n, low, high, color=styles[name]["color"], alpha=0.16, linewidth=0)
            every = max(1, len(n) // 8)
            axes.plot(n, 100 * floats(curve["lift"]), label=name, markevery=every, **styles[name])
        reference = next(curve["vs"] for curve in results["uci"].values())
        axes.set_xlabel("N, distinct interest clusters in 7 days")
        axes.set_ylabel(_difference("users with at least N clusters", reference))
        axes.set_xlim(1, max(2, last))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        signed(axes, "y")
        legend_below(figure, axes)
    return figure


def figure_5(results: Results) -> Figure:
    """Daily watch time and active users, relative to the control arm, under 95 % bands over all days."""
    daily = results["daily"]
    if len(daily["arms"]) > CROWD:
        return crowded_5(results)
    styles = arm_styles(results)
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(2, 5.6)
        if drawn_missing(panels[0], missing(results, "figure_5")):
            panels[1].set_visible(False)
            return figure
        days = np.asarray(daily["day"], dtype=float)
        arms = daily["arms"]
        for axes, (title, series) in zip(panels, _DAILY.items(), strict=True):
            zero_lines(axes)
            for place, (name, of_arm) in enumerate(arms.items()):
                # Side by side, so that the arms' bars do not hide each other.
                aside = 0.09 * (place - (len(arms) - 1) / 2) if len(days) <= _BAND_DAYS else 0.0
                _series(axes, days + aside, of_arm[series], name, styles[name], bars=len(days) <= _BAND_DAYS)
            axes.set_ylabel(_difference(title, daily["vs"]))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlim(days[0] - 0.5, days[-1] + 0.5)
            signed(axes, "y")
        panels[0].tick_params(labelbottom=False)
        panels[1].set_xlabel("day of the experiment")
        legend_below(figure, panels[0])
    return figure


def sequential(results: Results) -> Figure:
    """The primary metrics' lifts so far, with always-valid intervals."""
    return sequential_figure(results, arm_styles(results), CROWD)


def effects(results: Results) -> Figure:
    """Mean effects on watch time by third of each trait."""
    return effects_figure(results, arm_styles(results), CROWD)


def harm(results: Results) -> Figure:
    """Shares of users worse and better off."""
    return harm_figure(results)


def crowded_4c(results: Results) -> Figure:
    """Figure 4c for many arms."""
    curves = {
        name: Curve(np.asarray(c["n"], dtype=float), c["lift"], c["low"], c["high"])
        for name, c in results["uci"].items()
        if c["n"]
    }
    reference = next(curve["vs"] for curve in results["uci"].values())
    title = f"users with at least N clusters, relative difference to {reference} (%)"
    return grid_figure({title: curves}, "N, distinct interest clusters in 7 days")


def crowded_5(results: Results) -> Figure:
    """Figure 5 for many arms."""
    daily = results["daily"]
    days = np.asarray(daily["day"], dtype=float)

    def curves(series: DailySeries) -> dict[str, Curve]:
        parts = {name: of_arm[series] for name, of_arm in daily["arms"].items()}
        return {name: Curve(days, part["relative"], part["low"], part["high"]) for name, part in parts.items()}

    sets = {f"{title},\nrelative difference to {daily['vs']} (%)": curves(key) for title, key in _DAILY.items()}
    return grid_figure(sets, "day of the experiment")


def _points(results: Results) -> dict[str, Point]:
    """Arm -> its lifts on Figure 4b's axes, where both are known."""
    found = {}
    for name, lifts in results["lifts"].items():
        x, y = _span(lifts.get(NOVELTY)), _span(lifts.get(FEEDBACK))
        if x is not None and y is not None:
            found[name] = (x, y)
    return found


def _span(lift: LiftRow | None) -> Span | None:
    """A lift and its ends, where it is known."""
    return None if lift is None or lift["relative"] is None else (lift["relative"], lift["low"], lift["high"])


def _difference(what: str, other: str | None) -> str:
    """An axis label in short lines: a name may be long, and an axis is not."""
    return f"{what},\nrelative difference\nto {other} (%)"


def _series(axes: Axes, x: FloatArray, series: Series, name: str, style: dict[str, Any], bars: bool) -> None:
    y, low, high = (100 * floats(part) for part in (series["relative"], series["low"], series["high"]))
    if bars:
        axes.errorbar(x, y, yerr=[y - low, high - y], label=name, elinewidth=0.9, capsize=0, **style)
    else:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.1, linewidth=0)
        axes.plot(x, y, label=name, markevery=max(1, len(x) // 10), **style)


def _reach(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """Error bar lengths in percent, [[down], [up]], or ``None`` without an interval."""
    return None if low is None or high is None else [[100 * (value - low)], [100 * (high - value)]]
