"""A figure of many arms over several worlds: a dot a world, the mean and its interval."""

from collections.abc import Mapping

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import signed
from experiments.reporting.figures.files import STYLE
from experiments.results_schema import DialCell, Joined, MetricName, OverWorldsRow, Part

COLUMNS: tuple[tuple[Part, MetricName, str], ...] = (
    ("arms", "novel_impression_ratio_agent_slots", "novel impressions,\nagent's slots"),
    ("arms", "positive_rate_agent_slots", "positive feedback,\nagent's slots"),
    ("lifts", "watch_minutes_per_user_day", "watch time"),
    ("lifts", "active_user_share", "active users"),
    ("lifts", "discoveries_per_user", "discoveries of\ndormant interests"),
    ("lifts", "distinct_clusters_7d_rarefied", "clusters at\nequal volume"),
)
"""What stands in the figure and the table: part of the joined results, metric, title."""

_WORLD, _MEAN = "#9a9a9a", "#0072B2"


def by_watch_time(joined: Joined) -> list[str]:
    """The arms, the longest watched first; the control, which has no lift, counts 0."""

    def lift(arm: str) -> float:
        return (joined["lifts"][arm]["watch_minutes_per_user_day"]["mean"] if arm in joined["lifts"] else None) or 0.0

    return sorted(joined["arms"], key=lambda arm: (-lift(arm), arm))


def compared_with(joined: Joined | DialCell, part: Part, metric: MetricName) -> str | None:
    """The arm that a column's differences are to; None where it has values, or there is no other arm."""
    return next((of_arm[metric]["vs"] for of_arm in joined["lifts"].values()), None) if part == "lifts" else None


def worlds_figure(joined: Joined) -> Figure:
    """Arms in rows, metrics in columns; values in percent."""
    arms = by_watch_time(joined)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.1 + 0.21 * len(arms)), layout="constrained")
        panels = figure.subplots(1, len(COLUMNS), sharey=True, squeeze=False)[0]
        for axes, (part, metric, title) in zip(panels, COLUMNS, strict=True):
            _column(axes, arms, joined[part], metric)
            axes.set_title(title, fontsize=7.5)
            axes.tick_params(labelsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            vs = compared_with(joined, part, metric)
            axes.set_xlabel(f"% against {vs}" if vs else "% of impressions", fontsize=7)
            if part == "lifts":
                axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
                signed(axes, "x")
        panels[0].set_yticks(range(len(arms)), arms)
        panels[0].set_ylim(len(arms) - 0.5, -0.5)
    return figure


def _column(
    axes: Axes, arms: list[str], values: Mapping[str, Mapping[MetricName, OverWorldsRow]], metric: MetricName
) -> None:
    for place, arm in enumerate(arms):
        value = values.get(arm, {}).get(metric)
        if value is None or value["mean"] is None:
            continue
        worlds = [100 * each for each in value["by_world"] if each is not None]
        axes.plot(worlds, [place] * len(worlds), ".", color=_WORLD, markersize=4, zorder=2)
        if value["low"] is not None and value["high"] is not None:
            axes.hlines(place, 100 * value["low"], 100 * value["high"], color=_MEAN, linewidth=1.1, zorder=3)
        axes.plot(100 * value["mean"], place, "|", color=_MEAN, markersize=7, markeredgewidth=1.6, zorder=4)
