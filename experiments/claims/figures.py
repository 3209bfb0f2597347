"""The paper's figures over several worlds: the mean with its interval, and each world faintly behind it."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.across_worlds import OverWorlds
from experiments.claims.controls import EDGE, TWIN
from experiments.claims.criteria import ACTIVE, BANDIT, FEEDBACK, LLM, NOVELTY, WATCH, Variants
from experiments.claims.plan import MAIN, NOTHING_TO_FIND, PERMUTED, SAME_TWICE
from experiments.claims.worlds import Curve, Worlds
from experiments.figures.axes import COLOURS, MARKERS, floats, legend_below, panels_of, signed, zero_lines
from experiments.figures.comparison import arm_styles
from experiments.figures.files import STYLE

SHOWN = (LLM, "random_novel", "counts", "novelty", "two_tower", "oracle")
"""The arms whose curves are drawn in figures 4c and 5, besides the reference; the table has all."""

_FAINT = 0.25


def paper_figures(variants: Variants) -> dict[str, Figure]:
    """Every figure that there are data for, by name."""
    worlds = variants[MAIN]
    made = {
        "figure_3": figure_3(worlds),
        "figure_4a": figure_4a(worlds),
        "figure_4b": figure_4b(worlds),
        "figure_4c": figure_4c(worlds),
        "figure_5": figure_5(worlds),
        "controls": controls_figure(variants),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def figure_3(worlds: Worlds) -> Figure | None:
    """How many pairs have each label as their best, from the most to the least frequent label."""
    arms = {"diversified curation": LLM, "random curation": "llm_random_curation"}
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 3.4)
        for (title, arm), colour in zip(arms.items(), COLOURS, strict=False):
            counts = [results.get("llm_arms", {}).get(arm, {}).get("label_counts") for results in worlds.each]
            if not all(counts):
                continue
            ranks = np.arange(1, len(counts[0]) + 1)
            for count in counts:
                axes.plot(ranks, _positive(count), color=colour, alpha=_FAINT, linewidth=0.8)
            mean = np.mean([np.asarray(count, np.float64) for count in counts], axis=0)
            gini = worlds.description("llm_arms", arm, "label_skew", "gini").mean
            axes.plot(ranks, _positive(mean), color=colour, label=f"{title}, Gini {gini:.2f}")
        if not axes.lines:
            return None
        axes.set_yscale("log")
        axes.set_xlabel("label, from the most to the least frequent")
        axes.set_ylabel("pairs with this label first")
        legend_below(figure, axes)
    return figure


def figure_4a(worlds: Worlds) -> Figure | None:
    """Strict match rate and recall@10 over fine-tuning steps."""
    match = worlds.tuning("match_rate")
    recalls = {
        "fine-tuning set": worlds.tuning("fine_tuning", "recall@10"),
        "held-out pairs": worlds.tuning("held_out", "recall@10"),
        "later days": worlds.tuning("later_days", "recall@10"),
    }
    if match is None:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(2, 5.0)
        _curve(panels[0], match, COLOURS[1], "match rate", MARKERS[0])
        panels[0].set_ylabel("strict match rate (%)")
        panels[0].set_ylim(-4, 104)
        for (name, curve), colour, marker in zip(recalls.items(), COLOURS, MARKERS, strict=False):
            if curve is not None:
                _curve(panels[1], curve, colour, name, marker)
        panels[1].set_ylabel("recall@10 (%)")
        panels[1].set_ylim(bottom=0)
        panels[1].set_xlabel("fine-tuning step")
        legend_below(figure, panels[1])
    return figure


def figure_4b(worlds: Worlds) -> Figure | None:
    """Novel impressions against positive feedback on the agent's slots, relative to the bandit."""
    if not worlds.has(BANDIT):
        return None
    styles = _styles(worlds)
    points = {}
    for arm in worlds.arms:
        pair = worlds.against(arm, BANDIT, NOVELTY), worlds.against(arm, BANDIT, FEEDBACK)
        if arm != BANDIT and all(found.mean is not None for found in pair):
            points[arm] = pair
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 4.3)
        zero_lines(axes, vertical=True)
        axes.plot([0], [0], linestyle="none", label=f"{BANDIT} (reference)", zorder=4, **styles[BANDIT])
        for arm, (x, y) in points.items():
            axes.errorbar(
                [100 * float(x.mean or 0)],
                [100 * float(y.mean or 0)],
                xerr=_reach(x),
                yerr=_reach(y),
                linestyle="none",
                elinewidth=1.0,
                capsize=2.5,
                label=arm,
                zorder=3,
                **styles[arm],
            )
        axes.set_xlabel(f"novel impression ratio, relative difference to {BANDIT} (%)")
        axes.set_ylabel(f"positive feedback rate,\nrelative difference to {BANDIT} (%)")
        axes.margins(0.1)
        signed(axes, "xy")
        legend_below(figure, axes)
    return figure


def figure_4c(worlds: Worlds) -> Figure | None:
    """UCI@N relative to the bandit, with bands over worlds that hold for all N at once."""
    curves = {arm: worlds.uci(arm) for arm in SHOWN if worlds.has(arm)}
    known = {arm: curve for arm, curve in curves.items() if curve is not None}
    if not known:
        return None
    styles = _styles(worlds)
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 3.8)
        zero_lines(axes)
        for arm, curve in known.items():
            _curve(axes, curve, styles[arm]["color"], arm, styles[arm]["marker"])
        axes.set_xlabel("N, distinct interest clusters in 7 days")
        axes.set_ylabel(f"users with at least N clusters,\nrelative difference to {BANDIT} (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        signed(axes, "y")
        legend_below(figure, axes)
    return figure


def figure_5(worlds: Worlds) -> Figure | None:
    """Daily watch time and active users relative to the control, with bands over worlds."""
    styles = _styles(worlds)
    arms = [arm for arm in (LLM, BANDIT, *SHOWN[1:]) if worlds.has(arm) and worlds.daily(arm, "watch_minutes")]
    if not arms:
        return None
    with matplotlib.rc_context(STYLE):
        figure, panels = panels_of(2, 5.6)
        titles = {"watch_minutes": "watch time per user", "active_users": "users with 10 min or more"}
        for axes, (series, title) in zip(panels, titles.items(), strict=True):
            zero_lines(axes)
            for arm in arms:
                curve = worlds.daily(arm, series)
                if curve is not None:
                    _curve(axes, curve, styles[arm]["color"], arm, styles[arm]["marker"])
            axes.set_ylabel(f"{title},\nrelative difference to control (%)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            signed(axes, "y")
        panels[0].tick_params(labelbottom=False)
        panels[1].set_xlabel("day of the experiment")
        legend_below(figure, panels[0])
    return figure


def controls_figure(variants: Variants) -> Figure | None:
    """What must vanish and what must be there: a dot a world, the mean and its interval."""
    rows: list[tuple[str, OverWorlds]] = []
    for variant, title in ((MAIN, "labels as they are"), (PERMUTED, "labels permuted")):
        if variant in variants and variants[variant].has(LLM, TWIN):
            rows.append((f"LLM to its twin, novel positives:\n{title}", variants[variant].against(LLM, TWIN, EDGE)))
    for variant, title in ((MAIN, "this world"), (NOTHING_TO_FIND, "nothing to find, no satiation")):
        if variant in variants and variants[variant].has(LLM, "control"):
            rows.append((f"LLM to control, watch time:\n{title}", variants[variant].against(LLM, "control", WATCH)))
    if SAME_TWICE in variants and len(variants[SAME_TWICE].arms) > 1:
        one, again = variants[SAME_TWICE].arms[:2]
        for metric, title in ((WATCH, "watch time"), (ACTIVE, "active users")):
            rows.append((f"the same agent twice:\n{title}", variants[SAME_TWICE].against(again, one, metric)))
    rows = [(title, found) for title, found in rows if found.mean is not None]
    if not rows:
        return None
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 0.9 + 0.5 * len(rows))
        axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
        for place, (_, found) in enumerate(rows):
            axes.plot(100 * floats(list(found.by_world)), [place] * len(found.by_world), ".", color="#9a9a9a", zorder=2)
            if found.low is not None and found.high is not None:
                axes.hlines(place, 100 * found.low, 100 * found.high, color=COLOURS[1], linewidth=1.3, zorder=3)
            axes.plot(100 * float(found.mean or 0), place, "|", color=COLOURS[1], markersize=9, markeredgewidth=1.8)
        axes.set_yticks(range(len(rows)), [title for title, _ in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("relative difference (%)")
        signed(axes, "x")
    return figure


def _curve(axes: Axes, curve: Curve, colour: str, name: str, marker: str) -> None:
    """A mean over worlds with its band, each world faintly behind it; in percent."""
    x, every = np.asarray(curve.x), max(1, len(curve.x) // 8)
    for row in curve.by_world:
        axes.plot(x, 100 * np.asarray(row), color=colour, alpha=_FAINT, linewidth=0.6, zorder=1)
    axes.fill_between(
        x, 100 * np.asarray(curve.low), 100 * np.asarray(curve.high), color=colour, alpha=0.12, linewidth=0
    )
    axes.plot(x, 100 * np.asarray(curve.mean), color=colour, label=name, marker=marker, markevery=every, zorder=3)


def _styles(worlds: Worlds) -> dict[str, dict[str, Any]]:
    return arm_styles(worlds.each[0])


def _positive(counts: Any) -> Any:
    values = np.asarray(counts, np.float64)
    return np.where(values > 0, values, np.nan)  # a logarithmic axis has no place for labels that never come first


def _reach(found: OverWorlds) -> list[list[float]] | None:
    if found.low is None or found.high is None or found.mean is None:
        return None
    return [[100 * (found.mean - found.low)], [100 * (found.high - found.mean)]]
