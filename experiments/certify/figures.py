"""The certificate's figures, a fact each: means over worlds with 95 % intervals."""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.certify.behaviour import FRACTION_EDGES, SESSION_EDGES
from experiments.certify.facts import JACCARD_LIVE
from experiments.certify.probes import DRIFTS, GAP_DAYS, MONTH, REPEATS
from experiments.inference.worlds import t_interval
from experiments.reporting.figures.axes import BLACK, COLOURS, GREY, WIDTH, panel, panels, styled
from experiments.reporting.figures.curves import Curve, draw_curve
from sim.arrays import FloatArray

_HEIGHT = 3.3  # inches
_BLUE = COLOURS[1]
_STYLES = {
    "random": {"color": GREY, "marker": "d"},
    "greedy": {"color": BLACK, "marker": "D"},
    "exploring": {"color": COLOURS[0], "marker": "o"},
    "informed": {"color": _BLUE, "marker": "^"},
}
_DASHED: Any = {"color": BLACK, "linestyle": "--", "linewidth": 1}

Curves = list[dict[str, Any]]


def figures_of(curves: Curves) -> dict[int, Figure]:
    """A figure for each fact that a picture says more of, by the fact's number.

    Args:
        curves: ``measure(...)["curves"]`` of each world.
    """
    draws = {2: _variety, 4: _ranks, 5: _fractions, 6: _sessions, 7: _satiation, 9: _stability}
    draws |= {14: partial(_rates, name="earlier"), 16: partial(_rates, name="place")}
    return {number: styled(draw)(curves) for number, draw in draws.items()}


def captions() -> dict[int, str]:
    """What each figure shows."""
    share = "Lines are means over worlds, bands 95% intervals."
    spread = "Points are means over worlds, bars 95% intervals."
    return {
        2: f"Mean distinct clusters in 20 watches of each week's active users, by policy. {spread}",
        4: "Consumed impressions of items by rank, under greedy, one line a world. Dashed: exponent 1.",
        5: f"Watched fraction of impressions under greedy; above 1, the video was played again. {share}",
        6: "Left: items examined in a session, in bins that double (1, 2, 3 to 4, 5 to 8, ...). "
        f"Right: share of watch time of the most active users. {share}",
        7: "Value of one item of a loved interest, shown again and again (left), and after days without it (right), "
        f"relative to the first showing. {spread}",
        9: f"Overlap of each interest's five successors on day 0 and {MONTH} days later, by the strength of drift. "
        f"Dashed: {JACCARD_LIVE} on a live platform. {spread}",
        14: "Positive rate of impressions by the user's earlier positives in the cluster, with the life before day 0. "
        f"{spread}",
        16: f"Positive rate of impressions by their place among those of the user on the day, under greedy. {spread}",
    }


def _over_worlds(rows: list[list[float]]) -> tuple[FloatArray, FloatArray]:
    """(points,) means and (2, points) distances to the limits, 0 where there is no interval."""
    triples = np.array([t_interval(list(values)) for values in zip(*rows, strict=True)]).reshape(-1, 3)
    reach = np.nan_to_num(np.stack([triples[:, 0] - triples[:, 1], triples[:, 2] - triples[:, 0]]))
    return triples[:, 0], reach


def _draw(axes: Axes, x: Any, rows: list[list[float]], **style: Any) -> None:
    mean, reach = _over_worlds(rows)
    axes.errorbar(x, mean, yerr=reach, elinewidth=1.1, capsize=2, markersize=4, **style)


def _variety(curves: Curves) -> Figure:
    figure, axes = panel(_HEIGHT)
    for name in curves[0]["variety"]:
        rows = [world["variety"][name] for world in curves]
        weeks = np.arange(1, len(rows[0]) + 1)
        _draw(axes, weeks, rows, label=name, **_STYLES[name])
    axes.set(xlabel="week", ylabel="distinct clusters in 20 watches", xticks=weeks, ylim=(0, None))
    axes.legend(fontsize=8)
    return figure


def _ranks(curves: Curves) -> Figure:
    figure, axes = panel(_HEIGHT)
    for world in curves:
        axes.plot(world["rank"]["rank"], world["rank"]["count"], color=_BLUE, alpha=0.4, linewidth=1)
    rank = np.array(curves[0]["rank"]["rank"] or [1])
    top = (curves[0]["rank"]["count"] or [1])[0]
    axes.plot(rank, top / rank, **_DASHED, label="exponent 1")
    axes.set(xscale="log", yscale="log", xlabel="rank of the item", ylabel="consumed impressions", ylim=(0.7, None))
    axes.legend(fontsize=8)
    return figure


def _bars(axes: Axes, edges: FloatArray, rows: list[list[float]]) -> None:
    mean, reach = _over_worlds(rows)
    low, high = 100 * (mean - reach[0]), 100 * (mean + reach[1])
    axes.stairs(high, edges, baseline=np.maximum(low, 0.0), fill=True, color=_BLUE, alpha=0.3)
    axes.stairs(100 * mean, edges, color=_BLUE, linewidth=1.2)


def _fractions(curves: Curves) -> Figure:
    figure, axes = panel(_HEIGHT)
    _bars(axes, FRACTION_EDGES, [world["fraction"] for world in curves])
    axes.set(xlabel="watched fraction of the video", ylabel="share of impressions (%)", ylim=(0, None))
    return figure


def _sessions(curves: Curves) -> Figure:
    figure, ((left, right),) = panels(1, 2, _HEIGHT, WIDTH)
    _bars(left, SESSION_EDGES, [world["session"] for world in curves])
    left.set(xscale="log", xlabel="items a session", ylabel="share of sessions (%)", ylim=(0, None))
    share = np.linspace(0, 100, len(curves[0]["lorenz"]))
    mean, reach = _over_worlds([world["lorenz"] for world in curves])
    draw_curve(right, Curve(share, mean, mean - reach[0], mean + reach[1]), "", {"color": _BLUE})
    right.plot([0, 100], [0, 100], **_DASHED)
    right.set(xlabel="most active users (%)", ylabel="share of watch time (%)", ylim=(0, 102))
    return figure


def _satiation(curves: Curves) -> Figure:
    figure, ((left, right),) = panels(1, 2, _HEIGHT, WIDTH)
    first = [max(world["satiation"]["repeats"][0], 1e-9) for world in curves]
    for axes, key, x, label in (
        (left, "repeats", np.arange(1, REPEATS + 1), "showing in a row"),
        (right, "recovered", np.array(GAP_DAYS), "days without"),
    ):
        rows = [[v / f for v in world["satiation"][key]] for world, f in zip(curves, first, strict=True)]
        _draw(axes, x, rows, color=_BLUE, marker="o")
        axes.axhline(1, **_DASHED)
        axes.set(xlabel=label, ylim=(0, 1.15))
    left.set_ylabel("seconds watched / first showing")
    return figure


def _rates(curves: Curves, name: str) -> Figure:
    figure, axes = panel(_HEIGHT)
    groups = list(curves[0][name])
    _draw(
        axes,
        np.arange(len(groups)),
        [[world[name][group] for group in groups] for world in curves],
        color=_BLUE,
        marker="o",
    )
    axes.set_xticks(np.arange(len(groups)), groups)
    labels = {"earlier": "earlier positives in the cluster", "place": "place in the session"}
    axes.set(xlabel=labels[name], ylabel="positive rate", ylim=(0, None))
    return figure


def _stability(curves: Curves) -> Figure:
    figure, axes = panel(_HEIGHT)
    x = np.arange(len(DRIFTS))
    _draw(axes, x, [world["stability"] for world in curves], color=_BLUE, marker="o")
    axes.axhline(JACCARD_LIVE, **_DASHED)
    xlabel = "share of a persona's interests swapped a day"
    axes.set(xlabel=xlabel, ylabel=f"Jaccard of successors after {MONTH} days", ylim=(0, 1.03), xticks=x)
    axes.set_xticklabels([f"{drift:g}" for drift in DRIFTS])
    return figure
