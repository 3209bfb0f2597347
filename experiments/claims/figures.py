"""The paper's figures over several worlds: the mean with its band, and each world faintly behind it.

Sized for a paper: one column is 3.4 inches wide, two are 7.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.claims.bands import Curve
from experiments.claims.controls import DISCOVERIES, EDGE, RANDOM_WEIGHTS
from experiments.claims.language_model import RANDOM_CURATION, RECALL
from experiments.claims.live import BANDIT, CONTROL, FEEDBACK, LLM, NOVELTY, SERIES, WATCH, papers_range
from experiments.claims.plan import A_A, ALPHA_0, CURATION, MAIN, NOTHING_TO_FIND, TWIN
from experiments.claims.worlds import Variants, Worlds
from experiments.inference.worlds import OverWorlds
from experiments.reporting.figures.axes import COLOURS, MARKERS, legend_below, signed, zero_lines
from experiments.reporting.figures.comparison import arm_styles
from experiments.reporting.figures.files import STYLE
from experiments.results_schema import MetricName

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0
"""Inches."""

DRAWN = (LLM, "random_novel", "counts", "novelty", "two_tower")
"""Arms whose curves are drawn in figures 4c and 5, beside what they are relative to; the tables have all."""

_LOOK: Any = {**STYLE, "font.size": 7.5, "axes.labelsize": 7.5, "lines.markersize": 4.0, "lines.linewidth": 1.2}
_STYLES = {
    LLM: {"color": "#D55E00", "marker": "o"},
    BANDIT: {"color": "#000000", "marker": "D"},
    "novelty": {"color": "#009E73", "marker": "s"},
    "two_tower": {"color": "#CC79A7", "marker": "v"},
    "sequence": {"color": "#E69F00", "marker": "P"},
    "random_novel": {"color": "#56B4E9", "marker": "X"},
    "counts": {"color": "#0072B2", "marker": "^"},
    "persona_oracle": {"color": "#8C510A", "marker": "h"},
    "oracle_novel": {"color": "#44AA99", "marker": "p"},
    "oracle": {"color": "#767676", "marker": "*"},
}
"""The arms of the variant main, all told apart by colour."""

_FAINT = 0.3
_WORLD, _MEAN = "#9a9a9a", "#0072B2"


def paper_figures(variants: Variants) -> dict[str, Figure]:
    """Every figure that there are data for, by name."""
    worlds = variants[MAIN]
    with matplotlib.rc_context(_LOOK):
        made = {
            "figure_3": figure_3(variants.get(CURATION)),
            "figure_4a": figure_4a(worlds),
            "figure_4b": figure_4b(worlds),
            "figure_4c": figure_4c(worlds),
            "figure_5": figure_5(worlds),
            "controls": controls_figure(variants),
        }
    return {name: figure for name, figure in made.items() if figure is not None}


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(ONE_COLUMN, height), layout="constrained")
    return figure, figure.subplots()


def figure_3(worlds: Worlds | None) -> Figure | None:
    """How many pairs have each label as their best, from the most to the least frequent label."""
    if worlds is None:
        return None
    arms = {"diversified": LLM, "random": RANDOM_CURATION}
    figure, axes = _panel(2.7)
    for (title, arm), colour in zip(arms.items(), COLOURS, strict=False):
        tables = [results.get("llm_arms", {}).get(arm, {}) for results in worlds.each]
        counts = [table.get("label_counts") or [] for table in tables]
        if not all(counts):
            return None
        shares = np.array([100 * np.asarray(count, np.float64) / max(sum(count), 1) for count in counts])  # (W, M)
        ranks = np.arange(1, shares.shape[1] + 1)
        for share in shares:
            axes.plot(ranks, _positive(share), color=colour, alpha=_FAINT, linewidth=0.7)
        gini = worlds.number("llm_arms", arm, "label_skew", "gini").mean
        axes.plot(ranks, _positive(shares.mean(axis=0)), color=colour, label=f"{title} curation, Gini {gini:.2f}")
    axes.axhline(100 / len(ranks), color="#555555", linewidth=0.9, linestyle=":", label="every label as often")
    axes.set(
        yscale="log", xlabel="label, from the most to the least frequent", ylabel="pairs with this label first (%)"
    )
    axes.yaxis.set_major_formatter("{x:g}")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1)
    return figure


def figure_4a(worlds: Worlds) -> Figure | None:
    """Strict match rate, and recall under the trie on the fine-tuning set, on pairs held out, and on later days."""
    curves = {
        "match rate": worlds.tuning("match_rate"),
        f"{RECALL}, fine-tuning set": worlds.tuning("fine_tuning", RECALL),
        f"{RECALL}, held-out pairs": worlds.tuning("held_out", RECALL),
        f"{RECALL}, later days": worlds.tuning("later_days", RECALL),
    }
    if curves["match rate"] is None:
        return None
    figure, axes = _panel(2.9)
    for (name, curve), colour, marker in zip(curves.items(), ("#000000", *COLOURS), MARKERS, strict=False):
        if curve is not None:
            _curve(axes, curve, {"color": colour, "marker": marker}, name)
    axes.set(xlabel="fine-tuning step", ylabel="share (%); recall under the trie", ylim=(-4, 108))
    legend_below(figure, axes)
    return figure


def figure_4b(worlds: Worlds) -> Figure | None:
    """Novel impressions against positive feedback on the agent's slots, relative to the bandit; a cross a world."""
    if not worlds.has(BANDIT):
        return None
    styles = arm_styles(worlds.each[0]) | _STYLES
    figure, axes = _panel(3.4)
    zero_lines(axes, vertical=True)
    axes.plot([0], [0], linestyle="none", label=f"{BANDIT} (reference)", zorder=4, **styles[BANDIT])
    for arm in worlds.arms:
        x, y = worlds.against(arm, BANDIT, NOVELTY), worlds.against(arm, BANDIT, FEEDBACK)
        if arm == BANDIT or x.mean is None or y.mean is None:
            continue
        axes.plot(_shares(x), _shares(y), "x", color=styles[arm]["color"], alpha=0.5, markersize=3, zorder=2)
        axes.errorbar([100 * x.mean], [100 * y.mean], linestyle="none", elinewidth=0.9, capsize=2, label=arm, zorder=3,
                      xerr=_reach(x), yerr=_reach(y), **styles[arm])  # fmt: skip
    axes.set(xlabel=f"novel impression ratio, relative to {BANDIT} (%)")
    axes.set(ylabel=f"positive feedback rate, relative to {BANDIT} (%)")
    axes.margins(0.1)
    signed(axes, "xy")
    legend_below(figure, axes)
    return figure


def figure_4c(worlds: Worlds) -> Figure | None:
    """UCI@N relative to the bandit; shaded across: the paper's range of N."""
    curves = {arm: worlds.uci(arm) for arm in DRAWN if worlds.has(arm)}
    known = {arm: curve for arm, curve in curves.items() if curve is not None}
    if not known or not worlds.has(BANDIT):
        return None
    styles = arm_styles(worlds.each[0]) | _STYLES
    figure, axes = _panel(2.9)
    first, last = papers_range(worlds.num_clusters)
    axes.axvspan(first, last, color="#f2f2f2", zorder=0)
    zero_lines(axes)
    for arm, curve in known.items():
        _curve(axes, curve, styles[arm], arm, worlds=arm == LLM)
    axes.set_ylim(*_limits(list(known.values())))
    axes.set(
        xlabel="N, distinct interest clusters in 7 days", ylabel=f"users with N or more,\nrelative to {BANDIT} (%)"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    signed(axes, "y")
    legend_below(figure, axes)
    return figure


def figure_5(worlds: Worlds) -> Figure | None:
    """Daily watch time and active users relative to the control."""
    arms = [
        arm
        for arm in (*DRAWN, "oracle_novel", "oracle")
        if worlds.has(arm) and worlds.daily(arm, "watch_minutes") is not None
    ]
    if not arms:
        return None
    styles = arm_styles(worlds.each[0]) | _STYLES
    figure = Figure(figsize=(TWO_COLUMNS, 2.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (title, series) in zip(panels, SERIES.items(), strict=True):
        zero_lines(axes)
        known = {arm: curve for arm in arms if (curve := worlds.daily(arm, series)) is not None}
        for arm, curve in known.items():
            _curve(axes, curve, styles[arm], arm, worlds=arm == LLM)
        if known:  # in a very small world nobody may be active on some day
            axes.set_ylim(*_limits(list(known.values())))
        axes.set(xlabel="day of the experiment", ylabel=f"{title},\nrelative to {CONTROL} (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        signed(axes, "y")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def controls_figure(variants: Variants) -> Figure | None:
    """What must vanish beside what it is the control of: a dot a world, the mean and its interval."""
    groups = {title: rows for title, rows in _control_rows(variants).items() if rows}
    if not groups:
        return None
    heights = [len(rows) for rows in groups.values()]
    figure = Figure(figsize=(TWO_COLUMNS, 0.5 + 0.62 * len(groups) + 0.19 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[h + 0.6 for h in heights])[:, 0]
    for axes, (title, rows) in zip(panels, groups.items(), strict=True):
        axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
        for place, found in enumerate(rows.values()):
            _dots(axes, place, found)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_title(title, loc="left", fontsize=8)
        signed(axes, "x")
    panels[-1].set_xlabel("relative difference (%)")
    return figure


def _control_rows(variants: Variants) -> dict[str, dict[str, OverWorlds]]:
    """Title of a panel -> label -> what is drawn there."""

    def of(variant: str, arm: str, other: str, metric: MetricName) -> OverWorlds | None:
        worlds = variants.get(variant)
        lift = worlds.against(arm, other, metric) if worlds is not None and worlds.has(arm, other) else None
        return lift if lift is not None and lift.mean is not None else None

    alphas = {"alpha = 1": TWIN, "alpha = 0 (labels permuted)": ALPHA_0}
    lands = {"the world": MAIN, "nothing to find": NOTHING_TO_FIND}
    rows: dict[str, dict[str, OverWorlds | None]] = {
        "LLM relative to its random-weights twin: positive feedback on novel impressions": {
            label: of(variant, LLM, RANDOM_WEIGHTS, EDGE) for label, variant in alphas.items()
        },
        "LLM relative to its random-weights twin: discoveries": {
            label: of(variant, LLM, RANDOM_WEIGHTS, DISCOVERIES) for label, variant in alphas.items()
        },
        "Watch time relative to control": {
            f"{arm}, {label}": of(variant, arm, CONTROL, WATCH)
            for arm in (LLM, "random_novel", "counts")
            for label, variant in lands.items()
        },
        "The same agent twice (A/A)": {
            label: of(A_A, "random_novel_again", "random_novel", metric)
            for label, metric in {"watch time": WATCH, "novel positives": EDGE, "discoveries": DISCOVERIES}.items()
        },
    }
    return {title: {k: v for k, v in each.items() if v is not None} for title, each in rows.items()}


def _dots(axes: Axes, place: int, found: OverWorlds) -> None:
    worlds = _shares(found)
    axes.plot(worlds, [place] * len(worlds), ".", color=_WORLD, markersize=5, zorder=2)
    if found.low is not None and found.high is not None:
        axes.hlines(place, 100 * found.low, 100 * found.high, color=_MEAN, linewidth=1.3, zorder=3)
    axes.plot(100 * float(found.mean or 0.0), place, "|", color=_MEAN, markersize=8, markeredgewidth=1.8, zorder=4)


def _curve(axes: Axes, curve: Curve, style: dict[str, Any], name: str, worlds: bool = True) -> None:
    """A mean over worlds with its band, in percent; with ``worlds`` each of them faintly behind it."""
    x, colour = np.asarray(curve.x), style["color"]
    for row in curve.by_world if worlds else ():
        axes.plot(x, 100 * np.asarray(row), color=colour, alpha=_FAINT, linewidth=0.5, zorder=2)
    low, high = 100 * np.asarray(curve.low), 100 * np.asarray(curve.high)
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.plot(x, 100 * np.asarray(curve.mean), label=name, markevery=max(1, len(x) // 8), zorder=3, **style)


def _limits(curves: list[Curve]) -> tuple[float, float]:
    """An axis for all worlds' curves, with room for bands, but not for all of a band that knows nothing."""
    rows = 100 * np.concatenate([np.ravel(curve.by_world) for curve in curves])
    low, high = min(float(rows.min()), 0.0), max(float(rows.max()), 0.0)
    room = 0.25 * (high - low) or 1.0
    return low - room, high + room


def _positive(values: Any) -> Any:
    return np.where(values > 0, values, np.nan)  # a logarithmic axis has no place for labels that never come first


def _shares(found: OverWorlds) -> list[float]:
    return [100 * value for value in found.by_world if value is not None]


def _reach(found: OverWorlds) -> list[list[float]] | None:
    if found.low is None or found.high is None or found.mean is None:
        return None
    return [[100 * (found.mean - found.low)], [100 * (found.high - found.mean)]]
