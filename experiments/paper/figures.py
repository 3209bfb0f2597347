"""The paper's figures over several worlds: the mean with its band, and each world faintly behind it.

Sized for a paper: one column is 3.4 inches wide, two are 7. With many arms each has a panel of its own.
"""

from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paper.controls import DISCOVERIES, EDGE, RANDOM_WEIGHTS
from experiments.paper.language_model import RANDOM_CURATION, RECALL
from experiments.paper.live import BANDIT, CONTROL, FEEDBACK, LLM, NOVELTY, SERIES, WATCH, papers_range
from experiments.reporting.figures.arms import arm_styles
from experiments.reporting.figures.axes import MARKERS, dot, legend_below, named_rows, panel, panels, signed, zero_lines
from experiments.reporting.figures.comparison import panels_of_points
from experiments.reporting.figures.curves import Curve, panels_of_arms
from experiments.reporting.figures.files import STYLE
from experiments.reporting.figures.language_model import draw_labels, draw_tuning
from experiments.reporting.figures.worlds import MEAN, WORLD
from experiments.results_schema import MetricName, OverWorldsRow
from experiments.several import bands
from experiments.several.plan import A_A, ALPHA_0, CURATION, MAIN, NOTHING_TO_FIND, TWIN
from experiments.several.worlds import Variants, Worlds

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0
"""Inches."""

DRAWN = (LLM, "random_novel", "counts", "novelty", "two_tower")
"""Arms that have a panel in figures 4c and 5, if not the arm that they are relative to; the tables have all."""

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
"""The arms of the variant main, each with a colour of its own."""


def paper_figures(variants: Variants) -> dict[str, Figure]:
    """Every figure that there are data for, by name, of the width of a paper's column or page."""
    worlds = variants[MAIN]
    with matplotlib.rc_context(_LOOK):
        drawn = {
            "figure_3": figure_3(variants.get(CURATION)),
            "figure_4a": figure_4a(worlds),
            "figure_4b": figure_4b(worlds),
            "figure_4c": figure_4c(worlds),
            "figure_5": figure_5(worlds),
            "controls": controls_figure(variants),
        }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def narrow_figures(variants: Variants) -> dict[str, Figure]:
    """Those of ``paper_figures`` that are too wide for a phone, drawn anew for one."""
    worlds = variants[MAIN]
    with matplotlib.rc_context(_LOOK):
        drawn = {
            "figure_4b": figure_4b(worlds, narrow=True),
            "figure_4c": figure_4c(worlds, narrow=True),
            "figure_5": figure_5(worlds, narrow=True),
            "controls": controls_figure(variants, narrow=True),
        }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def figure_3(worlds: Worlds | None) -> Figure | None:
    """How many pairs have each label as their best, from the most to the least frequent label."""
    if worlds is None:
        return None
    counts = {}
    for title, arm in {"diversified": LLM, "random": RANDOM_CURATION}.items():
        gini = worlds.number("llm_arms", arm, "label_skew", "gini").mean
        of_arm = [results.get("llm_arms", {}).get(arm, {}).get("label_counts") or [] for results in worlds.each]
        if gini is None or not all(of_arm):
            return None
        counts[f"{title} curation, Gini {gini:.2f}"] = of_arm
    figure, axes = panel(2.7, ONE_COLUMN)
    draw_labels(axes, counts)
    legend_below(figure, axes, 1)
    return figure


def figure_4a(worlds: Worlds) -> Figure | None:
    """Strict match rate, and recall under the trie on the fine-tuning set, on pairs held out, and on later days."""
    parts = {
        "match rate": worlds.tuning("match_rate"),
        f"{RECALL}, fine-tuning set": worlds.tuning("fine_tuning", RECALL),
        f"{RECALL}, held-out pairs": worlds.tuning("held_out", RECALL),
        f"{RECALL}, later days": worlds.tuning("later_days", RECALL),
    }
    if parts["match rate"] is None:
        return None
    figure, axes = panel(2.9, ONE_COLUMN)
    curves = {name: _drawn(curve) for name, curve in parts.items() if curve is not None}
    draw_tuning(axes, curves, {name: {"marker": marker} for name, marker in zip(curves, MARKERS, strict=False)})
    legend_below(figure, axes)
    return figure


def figure_4b(worlds: Worlds, narrow: bool = False) -> Figure | None:
    """Novel impressions against positive feedback on the agent's slots, relative to the bandit; a panel an arm.

    A cross is a world.
    """
    if not worlds.has(BANDIT):
        return None
    points = {
        arm: (worlds.against(arm, BANDIT, NOVELTY).row(), worlds.against(arm, BANDIT, FEEDBACK).row())
        for arm in worlds.arms
        if arm != BANDIT
    }
    known = {arm: point for arm, point in points.items() if None not in (point[0]["mean"], point[1]["mean"])}
    if not known:
        return None
    title = f"positive feedback, agent's slots, relative difference to {BANDIT} (%)"
    xlabel = f"novel impressions, agent's slots, relative difference to {BANDIT} (%)"
    return panels_of_points({title: known}, xlabel, BANDIT, _styles(worlds), narrow, _width(narrow))


def figure_4c(worlds: Worlds, narrow: bool = False) -> Figure | None:
    """UCI@N relative to the bandit, a panel an arm; shaded across: the paper's range of N."""
    curves = _known({arm: worlds.uci(arm) for arm in DRAWN if worlds.has(arm)})
    if not curves or not worlds.has(BANDIT):
        return None
    first, last = papers_range(worlds.num_clusters)

    def ground(axes: Axes) -> None:
        axes.axvspan(first, last, color="#f2f2f2", zorder=0)

    title = f"UCI@N: users with at least N clusters, relative difference to {BANDIT} (%)"
    xlabel = "N, distinct interest clusters in 7 days"
    return panels_of_arms({title: curves}, xlabel, _styles(worlds), narrow, _width(narrow), ground)


def figure_5(worlds: Worlds, narrow: bool = False) -> Figure | None:
    """Daily watch time and active users relative to the control, a panel an arm."""
    arms = [arm for arm in (*DRAWN, "oracle_novel", "oracle") if worlds.has(arm)]
    sets = {
        f"{title}, relative difference to {CONTROL} (%)": _known({arm: worlds.daily(arm, series) for arm in arms})
        for title, series in SERIES.items()
    }
    known = {title: curves for title, curves in sets.items() if curves}  # in a very small world a day may have nobody
    if not any(title.startswith("watch time") for title in known):
        return None
    return panels_of_arms(known, "day of the experiment", _styles(worlds), narrow, _width(narrow))


def _width(narrow: bool) -> float:
    return ONE_COLUMN if narrow else TWO_COLUMNS


def controls_figure(variants: Variants, narrow: bool = False) -> Figure | None:
    """What must vanish, and what it is the control of: a dot a world, the mean and its interval."""
    groups = {title: rows for title, rows in _control_rows(variants).items() if rows}
    if not groups:
        return None
    heights = [len(rows) + 0.6 for rows in groups.values()]
    height = 0.5 + 0.62 * len(groups) + 0.19 * sum(map(len, groups.values()))
    figure, grid = panels(len(groups), 1, height, _width(narrow), height_ratios=heights)
    for axes, (title, rows) in zip(grid[:, 0], groups.items(), strict=True):
        zero_lines(axes, "x")
        for place, row in enumerate(rows.values()):
            dot(axes, place, row, MEAN, "|", worlds=WORLD)
        named_rows(axes, [fill(name, 22) if narrow else name for name in rows])
        axes.set_title(fill(title, 52) if narrow else title, loc="left", fontsize=7.5 if narrow else 8, x=-0.6 * narrow)
        signed(axes, "x")
    grid[-1, 0].set_xlabel("relative difference (%)")
    return figure


def _control_rows(variants: Variants) -> dict[str, dict[str, OverWorldsRow]]:
    """Title of a panel -> label -> what is drawn there."""

    def of(variant: str, arm: str, other: str, metric: MetricName) -> OverWorldsRow | None:
        worlds = variants.get(variant)
        lift = worlds.against(arm, other, metric).row() if worlds is not None and worlds.has(arm, other) else None
        return lift if lift is not None and lift["mean"] is not None else None

    alphas = {"alpha = 1": TWIN, "alpha = 0 (labels permuted)": ALPHA_0}
    lands = {"the world": MAIN, "nothing to find": NOTHING_TO_FIND}
    rows: dict[str, dict[str, OverWorldsRow | None]] = {
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


def _styles(worlds: Worlds) -> dict[str, dict[str, Any]]:
    return arm_styles(worlds.each[0]) | _STYLES


def _drawn(curve: bands.Curve) -> Curve:
    return Curve(curve.x, curve.mean, curve.low, curve.high, curve.by_world)


def _known(curves: dict[str, bands.Curve | None]) -> dict[str, Curve]:
    return {arm: _drawn(curve) for arm, curve in curves.items() if curve is not None}
