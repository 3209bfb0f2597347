"""A figure of many arms over several worlds: a dot a world, the mean and its interval."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.measures.variety import RAREFIED_WATCHES
from experiments.reporting.figures.axes import BROAD, NARROW, dot, named_rows, panels, signed, styled, zero_lines
from experiments.results_schema import DialCell, Joined, MetricName, Part

COLUMNS: tuple[tuple[Part, MetricName, str], ...] = (
    ("arms", "novel_impression_ratio_agent_slots", "novel impressions,\nagent's slots"),
    ("arms", "positive_rate_agent_slots", "positive feedback,\nagent's slots"),
    ("lifts", "watch_minutes_per_user_day", "watch time"),
    ("lifts", "active_user_share", "active users"),
    ("lifts", "discoveries_per_user", "discoveries"),
    ("lifts", "distinct_clusters_7d_rarefied", f"distinct clusters\nin {RAREFIED_WATCHES} watches"),
)
"""Columns of the figure and the table: part of the joined results, metric, title."""

WORLD, MEAN = "#9a9a9a", "#0072B2"
"""Colours of single worlds and of their mean."""


def by_watch_time(joined: Joined) -> list[str]:
    """The arms, the longest watched first; the control, which has no lift, counts 0."""

    def lift(arm: str) -> float:
        return (joined["lifts"][arm]["watch_minutes_per_user_day"]["mean"] if arm in joined["lifts"] else None) or 0.0

    return sorted(joined["arms"], key=lambda arm: (-lift(arm), arm))


def compared_with(joined: Joined | DialCell, part: Part, metric: MetricName) -> str | None:
    """The arm that a column's differences are to; None where it has values, or there is no other arm."""
    return next((of_arm[metric]["vs"] for of_arm in joined["lifts"].values()), None) if part == "lifts" else None


@styled
def worlds_figure(joined: Joined, narrow: bool = False) -> Figure:
    """Arms in rows, a panel a metric, side by side or, ``narrow``, two by two; values in percent."""
    arms = by_watch_time(joined)
    columns = 2 if narrow else len(COLUMNS)
    rows = -(-len(COLUMNS) // columns)
    height = rows * ((0.9 if narrow else 1.1) + 0.21 * len(arms))
    figure, grid = panels(rows, columns, height, NARROW if narrow else BROAD, sharey=True)
    for axes, (part, metric, title) in zip(grid.flat, COLUMNS, strict=False):
        for place, arm in enumerate(arms):
            if (value := joined[part].get(arm, {}).get(metric)) is not None and value["mean"] is not None:
                dot(axes, place, value, MEAN, "|", worlds=WORLD)
        axes.set_title(title, fontsize=7.5)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        vs = compared_with(joined, part, metric)
        axes.set_xlabel(f"% against {vs}" if vs else "% of impressions", fontsize=7)
        if part == "lifts":
            zero_lines(axes, "x")
            signed(axes, "x")
    for axes in grid.flat[len(COLUMNS) :]:
        axes.remove()
    named_rows(grid[0, 0], arms)
    return figure
