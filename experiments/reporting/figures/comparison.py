"""A comparison's figures, drawn from the dictionary of ``results.json``; figures 4b to 5 are those of the paper.

Figures are built with matplotlib's objects, without pyplot's global state, and the same results give the same SVG
bytes. A figure whose data are missing says so in words; ``missing`` gives the reason.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.measures.metrics import PRIMARY, TITLES
from experiments.reporting.figures.arms import FEEDBACK, NOVELTY, arm_styles, baselines
from experiments.reporting.figures.axes import NARROW, WIDTH, drawn_or_why, legend_below, panels, signed, zero_lines
from experiments.reporting.figures.curves import Curve, curves_figure
from experiments.reporting.figures.effects import effects, harm, missing_effects
from experiments.reporting.figures.language_model import figure_3, figure_4a, missing_llm
from experiments.reporting.figures.multiples import BEHIND, CROWD, multiples
from experiments.reporting.text import ends
from experiments.results_schema import DailySeries, Results

Point = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Two differences with their intervals, see ``reporting.text.ends``; with ``by_world`` where there are many worlds."""

_NEAR = 0.3  # relative difference up to which Figure 4b's second panel reaches

_DAILY: dict[str, DailySeries] = {"watch time": "watch_minutes", "active users": "active_users"}
"""Figure 5's panels."""

_BAR_DAYS = 10  # up to so many days Figure 5 draws intervals as bars instead of bands
_DAY = "day of the experiment"


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
    if name == "sequential" and not _running(results):
        return "no two arms to compare have data"
    if name in ("effects", "harm"):
        return missing_effects(results, name)
    return None


def figures_of(results: Results) -> dict[str, Figure]:
    """Every figure that these results have the data for, by name."""
    draws = (figure_3, figure_4a, figure_4b, figure_4c, figure_5, sequential, effects, harm)
    return {draw.__name__: draw(results) for draw in draws if missing(results, draw.__name__) is None}


def narrow_figures_of(results: Results) -> dict[str, Figure]:
    """Those of ``figures_of`` that are too wide for a phone, drawn anew for one."""
    draws = (figure_4b, figure_4c, figure_5, sequential)
    drawn = {draw.__name__: draw(results, narrow=True) for draw in draws if missing(results, draw.__name__) is None}
    return {name: figure for name, figure in drawn.items() if figure.get_figwidth() <= NARROW}


@drawn_or_why(missing)
def figure_4b(results: Results, narrow: bool = False) -> Figure:
    """Novel impressions against positive feedback on the agent's slots, relative to the reference.

    More than ``CROWD`` arms get a panel each. Where some arms lie far off, more panels magnify those within ``_NEAR``
    of the reference.
    """
    _, reference = baselines(results)
    assert reference is not None
    points, styles = _points(results), arm_styles(results)
    near = {name: pair for name, pair in points.items() if all(abs(lift["relative"]) < _NEAR for lift in pair)}
    apart = 0 < len(near) < len(points)
    ylabel = _difference("positive feedback, agent's slots", reference)
    xlabel = _difference("novel impressions, agent's slots", reference)
    if len(points) > CROWD:
        grids = {ylabel: points} | ({f"magnified: arms near {reference}": near} if apart else {})
        return panels_of_points(grids, xlabel, reference, styles, narrow)
    figure, grid = panels(1 + apart, 1, 3.9 + 3.1 * apart, WIDTH)
    for axes, shown in zip(grid[:, 0], (points, near), strict=False):
        draw_points(axes, shown, reference, styles)
        axes.set_ylabel(ylabel.replace(", ", ",\n"))
    grid[-1, 0].set_xlabel(xlabel.replace(", ", ",\n"))
    if apart:
        grid[1, 0].set_title(f"magnified: arms near {reference}", fontsize=9)
    legend_below(figure, grid[0, 0])
    return figure


def panels_of_points(
    grids: Mapping[str, Mapping[str, Point]],
    xlabel: str,
    reference: str,
    styles: Mapping[str, Mapping[str, Any]],
    narrow: bool = False,
    width: float | None = None,
) -> Figure:
    """Grids of panels, one an arm: its point with both intervals, the other arms' points in grey.

    Args:
        grids: title -> arm -> its point.
        xlabel: of all panels.
        reference: the arm at (0, 0).
        styles: by arm.
        narrow, width: see ``multiples``.
    """

    def draw(axes: Axes, title: str, arm: str) -> None:
        points = grids[title]
        others = np.array([[100 * (ends(each)[0] or 0.0) for each in points[name]] for name in points if name != arm])
        if len(others):
            axes.plot(*others.T, "o", color=BEHIND, markersize=3, zorder=2)
        small = {name: {"markersize": 4, **style} for name, style in styles.items()}
        draw_points(axes, {arm: points[arm]}, reference, small)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))

    return multiples({title: list(points) for title, points in grids.items()}, xlabel, draw, narrow, width)


def draw_points(
    axes: Axes, points: Mapping[str, Point], reference: str, styles: Mapping[str, Mapping[str, Any]]
) -> None:
    """Arms by two differences to a reference, with intervals along both axes; where there are worlds, a cross each."""
    zero_lines(axes, "xy")
    axes.plot([0], [0], linestyle="none", label=f"{reference} (reference)", zorder=4, **styles[reference])
    for name, point in points.items():
        worlds = [[100 * value for value in each.get("by_world", ())] for each in point]
        if worlds[0]:
            axes.plot(*worlds, "x", color=styles[name]["color"], alpha=0.5, markersize=3, zorder=2)
        (x, across), (y, along) = (_with_reach(each) for each in point)
        look: Any = {"linestyle": "none", "elinewidth": 1.0, "capsize": 2.5, "zorder": 3, **styles[name]}
        axes.errorbar([x], [y], xerr=across, yerr=along, label=name, **look)
    axes.margins(0.12)
    signed(axes, "xy")


@drawn_or_why(missing)
def figure_4c(results: Results, narrow: bool = False) -> Figure:
    """UCI@N: lift in users with at least N clusters in seven days, with simultaneous bands."""
    reference = next(curve["vs"] for curve in results["uci"].values())
    curves = {name: Curve(c["n"], c["lift"], c["low"], c["high"]) for name, c in results["uci"].items() if c["n"]}
    title = _difference("UCI@N: users with at least N clusters", reference)
    xlabel = "N, distinct interest clusters in 7 days"
    return curves_figure({title: curves}, xlabel, arm_styles(results), narrow=narrow)


@drawn_or_why(missing)
def figure_5(results: Results, narrow: bool = False) -> Figure:
    """Daily watch time and active users, relative to the control arm, under 95 % bands over all days."""
    daily = results["daily"]
    sets = {
        _difference(title, daily["vs"]): {
            name: Curve(daily["day"], part[key]["relative"], part[key]["low"], part[key]["high"])
            for name, part in daily["arms"].items()
        }
        for title, key in _DAILY.items()
    }
    return curves_figure(sets, _DAY, arm_styles(results), len(daily["day"]) <= _BAR_DAYS, narrow)


@drawn_or_why(missing)
def sequential(results: Results, narrow: bool = False) -> Figure:
    """The primary metrics' lifts so far, with intervals that hold however often one looks."""
    return curves_figure(_running(results), _DAY, arm_styles(results), narrow=narrow)


def _running(results: Results) -> dict[str, dict[str, Curve]]:
    """Title of each primary metric -> arm -> its running lift, where there is any."""
    curves: dict[str, dict[str, Curve]] = {}
    for metric in PRIMARY:
        for name, of_arm in results.get("sequential", {}).items():
            curve = of_arm.get(metric)
            if curve is None or all(low is None for low in curve["low"]):
                continue
            title = f"{TITLES[metric]} so far, relative difference to {curve['vs']} (%)"
            shown = Curve(curve["day"], curve["relative"], curve["low"], curve["high"])
            curves.setdefault(title, {})[name] = shown
    return curves


def _points(results: Results) -> dict[str, Point]:
    """Arm -> its lifts on Figure 4b's axes, where both are known."""
    pairs = {arm: (lifts.get(NOVELTY), lifts.get(FEEDBACK)) for arm, lifts in results["lifts"].items()}
    return {arm: (x, y) for arm, (x, y) in pairs.items() if x and y and None not in (x["relative"], y["relative"])}


def _difference(what: str, other: str | None) -> str:
    return f"{what}, relative difference to {other} (%)"


def _with_reach(difference: Mapping[str, Any]) -> tuple[float, list[list[float]] | None]:
    """A known difference and its error bar's lengths in percent, [[down], [up]], or ``None`` without an interval."""
    value, low, high = ends(difference)
    assert value is not None
    reach = None if low is None or high is None else [[100 * (value - low)], [100 * (high - value)]]
    return 100 * value, reach
