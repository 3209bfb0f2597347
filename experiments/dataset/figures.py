"""``histories.svg``: how informative histories are, of one data set or of two next to each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.dataset.histories import HistoriesOf
from experiments.measures.histories import DEEP_POSITIVES, LEAST_POSITIVES
from experiments.reporting.figures.axes import (
    BLACK,
    BROAD,
    COLOURS,
    GREY,
    MARKERS,
    columns_of,
    legend_below,
    panels,
    styled,
)

PUBLISHED = "KuaiRand, recomputed by others"
"""Legend of the published values: recomputations from the public logs of KuaiRand and KuaiRand-Pure (Gao et al. 2022,
"KuaiRand: an unbiased sequential recommendation dataset with randomly exposed videos")."""


@dataclass(frozen=True)
class Panel:
    """A panel: a measure of ``Histories``.

    Attributes:
        measure: its name there.
        title: above the panel.
        factor: 100 shows shares in percent.
        names: what the axis calls a value, where its name there is not short enough.
        level: of the first value where the past, or other users, tell nothing.
        published: by the value's name, see ``PUBLISHED``.
    """

    measure: str
    title: str
    factor: float = 100.0
    names: dict[str, str] = field(default_factory=dict)
    level: float | None = None
    published: dict[str, float] = field(default_factory=dict)


PANELS = (
    Panel("earlier_positives", "Positive rate (%) by earlier\npositives in the cluster"),
    Panel("earlier_ratio", "Rate after an earlier\npositive / without one", 1.0,
          {"any / none": "any / none\n(KuaiRand: of the same creator)"}, 1.0, {"any / none": 1.3}),
    Panel("novelty", "Positive rate (%) on novel and\nfamiliar clusters"),
    Panel("session_place", "Positive rate (%) by\nplace in the session",
          published={"1": 0.418, "6-10": 0.300, "11-20": 0.240, "51+": 0.143}),
    Panel("activity", "Positive rate (%) by\nactivity of the user",
          published={"low": 0.412, "middle": 0.381, "full": 0.296}),
    Panel("next_active_day", "Active days (%) by days\nto the next one", published={"1": 0.62, "2": 0.17, "3": 0.08}),
    Panel("concentration", f"Share of a user's positives (%),\nmedian of users with {LEAST_POSITIVES}+",
          names={"top": "top\ncluster", "second": "second", "top of heavy users": "top,\nheavy users"},
          published={"top": 0.35, "second": 0.19, "top of heavy users": 0.26}),
    Panel("deep_clusters", f"Clusters of a user with\n{DEEP_POSITIVES}+ positives (mean)", 1.0),
    Panel("popularity", "Popularity of items", 1.0, {"auc": "within-user\nAUC", "gini": "exposure\nGini"}, 0.5,
          {"auc": 0.63, "gini": 0.73}),
)  # fmt: skip
"""Every panel, row by row."""

_OF_CONSUMED = ("next_active_day", "concentration")
"""Measures whose published values hold next to logs of consumed items too; the others are of all impressions."""

_COLUMNS = 3
_ASIDE = 0.2  # of a value's width, between two data sets


@styled
def histories_figure(records: Sequence[HistoriesOf]) -> Figure:
    """A panel a measure, in it the data sets next to each other with 95 % intervals over users, and published values.

    Args:
        records: as ``experiments.dataset.histories.histories_of`` returns them.
    """
    rows = -(-len(PANELS) // _COLUMNS)
    figure, grid = panels(rows, _COLUMNS, 0.6 + 1.85 * rows, BROAD)
    for axes, panel in zip(grid.flat, PANELS, strict=True):
        _draw(axes, panel, records)
    legend_below(figure, grid.flat[[panel.measure for panel in PANELS].index("concentration")], 2, fontsize=8)
    return figure


def _draw(axes: Axes, panel: Panel, records: Sequence[HistoriesOf]) -> None:
    if panel.level is not None:
        axes.hlines(panel.level, -0.5, 0.5, color=GREY, linewidth=0.9, linestyle=":", zorder=1)
    names: list[str] = []
    for number, record in enumerate(records):
        measure: Any = record["measures"]
        values = measure[panel.measure]
        names = list(values)
        value, low, high = (panel.factor * column for column in columns_of(list(values.values())))
        aside = _ASIDE * (number - (len(records) - 1) / 2)
        reach = np.nan_to_num(np.stack([value - low, high - value]))
        look: Any = {"fmt": MARKERS[number], "color": COLOURS[1 - number], "markersize": 3.5, "elinewidth": 1.1}
        label = record["name"] + (", consumed items" if record["rows"] == "consumed" else "")
        axes.errorbar(np.arange(len(names)) + aside, value, yerr=reach, label=label, zorder=3, **look)
    whole = all(record["rows"] == "impressions" for record in records)
    if panel.published and (whole or panel.measure in _OF_CONSUMED):
        places = [names.index(name) for name in panel.published]
        published = panel.factor * np.array(list(panel.published.values()))
        axes.plot(places, published, "_", color=BLACK, markersize=16, markeredgewidth=1.2, label=PUBLISHED, zorder=2)
    axes.set_xticks(range(len(names)), [panel.names.get(name, name) for name in names])
    top = 1.05 * axes.get_ylim()[1]
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(-0.04 * top, top))  # a marker at 0 is whole
    axes.set_title(panel.title, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(axis="x", visible=False)
