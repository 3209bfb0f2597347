"""How much of what pleased next each agent had in its list: a dot and an interval an agent, sorted, and chance."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.offline.schema import TaskRow
from experiments.reporting.figures.axes import BLACK, COLOURS, NARROW, dot, legend_below, named_rows, panels, styled

_PANELS = ("recall", "ndcg")
_PLANNER, _OTHER, _REFERENCE = COLOURS[0], COLOURS[1], BLACK


@styled
def prediction_figure(of_task: TaskRow, title: str, top_k: int, reference: str, narrow: bool = False) -> Figure:
    """Recall and NDCG of one task's agents, the best on top.

    Args:
        of_task: as ``experiments.offline.outcome.measured`` has it; with agents.
        title: the task's.
        top_k: length of the lists.
        reference: drawn in black.
        narrow: whether for a phone: one panel below the other.
    """
    agents = ranked(of_task)
    shape, width = ((len(_PANELS), 1), NARROW) if narrow else ((1, len(_PANELS)), 6.6)
    figure, grid = panels(*shape, 0.7 + (0.6 + 0.23 * len(agents)) * shape[0], width, sharey=True)
    for axes, measure in zip(grid.flat, _PANELS, strict=True):
        axes.axvline(of_task["chance"][measure], color="#777777", linestyle="--", linewidth=1, zorder=1)
        for place, name in enumerate(agents):
            agent = of_task["agents"][name]
            colour = _REFERENCE if name == reference else _PLANNER if agent["planned"] else _OTHER
            dot(axes, place, agent["measures"][measure], colour, "D" if agent["planned"] else "o", 1.0)
        axes.set_xlim(left=0)
        axes.tick_params(labelsize=8)
        axes.set_xlabel(f"{title}, {'NDCG' if measure == 'ndcg' else measure}@{top_k}")
    named_rows(grid[0, 0], agents)
    _legend(figure, grid[0, 0], of_task, agents, reference, 2 if narrow else 4)
    return figure


def ranked(of_task: TaskRow) -> list[str]:
    """A task's agents by recall, the best first, ties by name."""
    agents = of_task["agents"]
    return sorted(agents, key=lambda name: (-agents[name]["measures"]["recall"]["value"], name))


def _legend(figure: Figure, axes: Axes, of_task: TaskRow, agents: list[str], reference: str, columns: int) -> None:
    kinds = {of_task["agents"][name]["planned"] for name in agents if name != reference}
    if True in kinds:
        axes.plot([], [], "D", color=_PLANNER, markersize=4.5, label="a planner's clusters")
    if False in kinds:
        axes.plot([], [], "o", color=_OTHER, markersize=4.5, label="items ranked")
    axes.plot([], [], "D" if of_task["agents"][reference]["planned"] else "o", color=_REFERENCE, label=reference)
    axes.plot([], [], "--", color="#777777", linewidth=1, label="chance")
    legend_below(figure, axes, columns, fontsize=8)
