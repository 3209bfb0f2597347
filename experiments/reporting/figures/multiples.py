"""Small multiples: a panel for every arm on common axes, with the other arms thin and grey behind it."""

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from experiments.reporting.figures.axes import BROAD, NARROW

CROWD = 4
"""More arms than this are not drawn in one panel: their intervals would hide each other."""

BEHIND = "#b4b4b4"
"""Colour of the other arms."""

_PANEL_HEIGHT, _HEAD_HEIGHT = 1.3, 0.55  # inches
_MOST_COLUMNS, _MOST_COLUMNS_NARROW = 4, 2


def multiples(
    sets: Mapping[str, Sequence[str]],
    xlabel: str,
    draw: Callable[[Axes, str, str], None],
    narrow: bool = False,
    width: float | None = None,
) -> Figure:
    """Grids of panels, one under the other; panels of a grid share their axes.

    Args:
        sets: title of a grid -> arms, a panel each.
        xlabel: of all panels.
        draw: draws into the axes, for the title of the grid, the arm.
        narrow: whether for a phone: two columns instead of up to four.
        width: inches; that of a page or a phone if not given.
    """
    columns = _columns(max(map(len, sets.values())), narrow)
    rows = [-(-len(arms) // columns) for arms in sets.values()]
    heights = [_HEAD_HEIGHT + _PANEL_HEIGHT * each for each in rows]
    width = width or (NARROW if narrow else BROAD)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(sets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (title, arms), num_rows in zip(parts, sets.items(), rows, strict=True):
        part.suptitle(fill(title, int(12 * width)), x=0.01, ha="left", fontsize=8.5)
        part.supxlabel(fill(xlabel, int(12 * width)), fontsize=8)
        _grid(part, title, arms, (num_rows, columns), draw)
    return figure


def _columns(num: int, narrow: bool) -> int:
    """Columns that fill their rows evenly."""
    most = _MOST_COLUMNS_NARROW if narrow else _MOST_COLUMNS
    return -(-num // -(-num // most))


def _grid(
    part: SubFigure, title: str, arms: Sequence[str], shape: tuple[int, int], draw: Callable[[Axes, str, str], None]
) -> None:
    grid = part.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    for axes, arm in zip(grid.flat, arms, strict=False):
        draw(axes, title, arm)
        axes.set_title(arm, fontsize=8, pad=2)
        axes.tick_params(labelsize=7)
    for axes in grid.flat[len(arms) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(arms) - shape[1]) : len(arms)]:
        axes.tick_params(labelbottom=True)  # also where the panel below is empty
