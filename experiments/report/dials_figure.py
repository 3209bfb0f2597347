"""Figures of dials: a curve an arm over one dial, or a field of colours over two."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from experiments.inference.worlds import OverWorlds
from experiments.report.dials import numeric
from experiments.reporting.figures.arms import NOVELTY, styles_of
from experiments.reporting.figures.axes import COLOURS, NARROW, columns_of, panels, signed, styled, zero_lines
from experiments.reporting.figures.curves import Curve, draw_curve
from experiments.reporting.figures.worlds import COLUMNS, compared_with
from experiments.reporting.text import UNKNOWN, number
from experiments.reporting.words import setting_in_words
from experiments.results_schema import DialCell, Dialled, MetricName, OverWorldsRow, Part
from sim.arrays import FloatArray

_ABOVE, _BELOW = COLOURS[1], COLOURS[0]
"""Of heat-maps: values above and below 0."""


def dials_figure(joined: Dialled, narrow: bool = False) -> Figure:
    """What ``join_dials`` returns: curves over one dial, heat-maps over two. In percent; ``narrow``: for a phone."""
    return curves(joined, narrow) if len(joined["dials"]) == 1 else heat_maps(joined, narrow)


def shown_arms(joined: Dialled, part: Part, metric: MetricName) -> list[str]:
    """The arms that have a value anywhere, in alphabetical order."""
    arms = sorted({arm for cell in joined["cells"] for arm in cell[part]})
    return [arm for arm in arms if any(_value(cell, part, arm, metric)["mean"] is not None for cell in joined["cells"])]


def axis_title(cell: DialCell, part: Part, metric: MetricName) -> str:
    """What the numbers are shares of, or differences to."""
    vs = compared_with(cell, part, metric)
    return f"% against {vs}" if vs else "% of impressions"


@styled
def curves(joined: Dialled, narrow: bool = False) -> Figure:
    """A panel a metric, a curve an arm with its 95 % band; the dial's places from left to right."""
    dial = joined["dials"][0]
    numbers = numeric(dial["values"])
    places = [cell["at"][0] for cell in joined["cells"]]
    x = np.array([dial["values"][at] for at in places] if numbers else places, dtype=np.float64)
    first = joined["cells"][0]
    control = next((lift["vs"] for of_arm in first["lifts"].values() for lift in of_arm.values() if lift["vs"]), None)
    reference = next((of_arm[NOVELTY]["vs"] for of_arm in first["lifts"].values() if of_arm[NOVELTY]["vs"]), None)
    styles = styles_of(first["arms"], control, reference)
    figure, grid = panels(3, 2, 7.2, NARROW) if narrow else panels(2, 3, 5.2)
    drawn: dict[str, Any] = {}
    for axes, (part, metric, title) in zip(grid.flat, COLUMNS, strict=True):
        for arm in shown_arms(joined, part, metric):
            columns = columns_of([_value(cell, part, arm, metric) for cell in joined["cells"]])
            draw_curve(axes, Curve(x, *columns), arm, {"markersize": 4, **styles[arm]})
            drawn[arm] = axes.lines[-1]
        axes.set_title(title, fontsize=8)
        axes.set_ylabel(axis_title(first, part, metric), fontsize=8)
        axes.tick_params(labelsize=7.5)
        if part == "lifts":
            zero_lines(axes)
            signed(axes, "y")
        axes.set_xticks(x, [dial["labels"][at] for at in places], rotation=0 if numbers else 30)
    for axes in grid[-1]:
        axes.set_xlabel(setting_in_words(dial["entry"]), fontsize=8)
    # Not every panel has every arm: the last line drawn of each stands for it.
    figure.legend(
        drawn.values(), drawn, loc="outside lower center", ncols=min(2 if narrow else 4, len(drawn)), fontsize=8
    )
    return figure


@styled
def heat_maps(joined: Dialled, narrow: bool = False) -> Figure:
    """A row an arm, a column a metric; in each, the first dial downwards and the second from left to right.

    ``narrow``: an arm has two columns, of half the metrics each.
    """
    down, across = joined["dials"]
    arms = sorted({arm for part, metric, _ in COLUMNS for arm in shown_arms(joined, part, metric)})
    arms = [arm for arm in arms if arm in joined["cells"][0]["lifts"]]
    columns = 2 if narrow else len(COLUMNS)
    rows = len(arms) * len(COLUMNS) // columns
    height = (0.6 if narrow else 0.15) + 0.24 * len(down["labels"])
    width = NARROW if narrow else 1.4 + 1.5 * len(COLUMNS)
    figure, grid = panels(rows, columns, 1.1 + height * rows, width)
    for arm, of_arm in zip(arms, grid.reshape(len(arms), -1), strict=True):
        for axes, (part, metric, title) in zip(of_arm, COLUMNS, strict=True):
            axes.grid(visible=False)
            _heat_map(axes, field_of(joined, part, arm, metric), part == "lifts")
            if narrow or arm == arms[0]:
                axes.set_title(f"{title}\n{axis_title(joined['cells'][0], part, metric)}", fontsize=7)
            axes.set_xticks(range(len(across["labels"])), [])
            axes.set_yticks([], [])
    for place, row in enumerate(grid):
        row[0].set_yticks(range(len(down["labels"])), down["labels"], fontsize=7)
        row[0].set_ylabel(arms[place * len(arms) // rows], fontsize=8)
    turned: Any = {} if numeric(across["values"]) else {"rotation": 30, "ha": "right"}
    for axes in grid[-1]:
        axes.set_xticks(range(len(across["labels"])), across["labels"], fontsize=7, **turned)
    figure.supylabel(setting_in_words(down["entry"]), fontsize=8)
    figure.supxlabel(setting_in_words(across["entry"]), fontsize=8)
    return figure


def field_of(joined: Dialled, part: Part, arm: str, metric: MetricName) -> FloatArray:
    """(A, B) means in percent over the places of two dials; NaN where nothing was run or is defined."""
    down, across = joined["dials"]
    field = np.full((len(down["values"]), len(across["values"])), np.nan)
    for cell in joined["cells"]:
        mean = _value(cell, part, arm, metric)["mean"]
        if mean is not None:
            field[tuple(cell["at"])] = 100 * mean
    return field


def _heat_map(axes: Axes, field: FloatArray, difference: bool) -> None:
    """Cells the more opaque the farther from 0, so that the page's ground, light or dark, stands for 0."""
    known = field[np.isfinite(field)]
    if not len(known):
        axes.text(0.5, 0.5, UNKNOWN, ha="center", va="center", transform=axes.transAxes)
        return
    reach = max(float(np.abs(known).max()), 1e-9)
    cells = np.where(np.nan_to_num(field)[..., None] < 0, to_rgba(_BELOW), to_rgba(_ABOVE))
    cells[..., 3] = 0.6 * np.abs(np.nan_to_num(field)) / reach
    axes.imshow(cells, aspect="auto")
    for (row, column), value in np.ndenumerate(field):
        if np.isfinite(value):
            text = number(float(value), "+.1f" if difference else ".1f")
            axes.text(column, row, text, ha="center", va="center", fontsize=7)


def _value(cell: DialCell, part: Part, arm: str, metric: MetricName) -> OverWorldsRow:
    estimate = cell[part].get(arm, {}).get(metric)
    return estimate if estimate is not None else OverWorlds(None, None, None, None, None, None, ()).row()
