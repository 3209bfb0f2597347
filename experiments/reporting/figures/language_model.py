"""Figures of the language model: figures 3 and 4a of Wang et al. (2024)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import BLACK, COLOURS, drawn_or_why, legend_below, panel
from experiments.reporting.figures.curves import Curve, draw_curve
from experiments.reporting.words import worded
from experiments.results_schema import LanguageModel, Results

_MARKERS = {"fine-tuning set": "o", "held-out pairs": "^", "later days": "s"}
"""Markers of what recalls are taken on."""


def missing_llm(results: Results, name: str) -> str | None:
    """Why ``figure_3`` or ``figure_4a`` cannot be drawn, or ``None`` if it can."""
    if name == "figure_4a" and not results.get("llm", {}).get("curve"):
        return "no fine-tuning curve in these results"
    if name == "figure_3" and not any(sum(each["label_counts"]) for each in tables(results).values()):
        return "no language model's table in these results"
    return None


def curve_rows(results: Results) -> list[dict[str, Any]]:
    """The fine-tuning curve, a flat row for each step, in words (``reporting.words.in_words``); the step first."""
    return [worded({"step": row["step"], **row}) for row in results.get("llm", {}).get("curve") or []]


def tables(results: Results) -> dict[str, LanguageModel]:
    """What results hold of the tables that figure 3 compares: the model's, and another curation's, if there is one."""
    main = results.get("llm", {})
    if "label_counts" not in main:
        return {}
    mode = _mode(main)
    by_name = {f"{mode} curation" if mode else "no fine-tuning": main}
    for arm in results.get("llm_arms", {}).values():
        if mode and _mode(arm) not in (None, mode) and "label_counts" in arm:
            by_name.setdefault(f"{_mode(arm)} curation", arm)
    return by_name


@drawn_or_why(missing_llm)
def figure_3(results: Results) -> Figure:
    """How many pairs of clusters have each label as their best, labels from the most to the least frequent."""
    figure, axes = panel(3.6)
    counts = {
        f"{name}: {_numbers(each['label_skew'])}": [each["label_counts"]] for name, each in tables(results).items()
    }
    draw_labels(axes, counts)
    legend_below(figure, axes, 1, fontsize=8)
    return figure


def draw_labels(axes: Axes, counts: Mapping[str, Sequence[Sequence[int]]]) -> None:
    """The share of pairs that have each label as their best, and what would be even.

    A curve ends where labels never come first. Of several worlds each is drawn faintly behind their mean.

    Args:
        axes: where.
        counts: name of a table -> for each world the (M,) pairs by label, the most frequent first.
    """
    num = 1
    for (name, of_worlds), colour in zip(counts.items(), COLOURS, strict=False):
        rows = np.array(of_worlds, np.float64)
        shares = 100 * rows / np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
        num = max(num, shares.shape[1])
        faint: Any = {"alpha": 0.3, "linewidth": 0.7}
        drawn = [(share, faint) for share in shares if len(shares) > 1]
        for share, look in [*drawn, (shares.mean(axis=0), {"label": name})]:
            named = int((share > 0).sum())  # a logarithmic axis has no place for the others
            axes.plot(np.arange(1, named + 1), share[:named], color=colour, drawstyle="steps-mid", **look)
    axes.axhline(100 / num, color="#555555", linewidth=0.9, linestyle=":", label="every label as often")
    axes.set(xlabel="label, from the most to the least frequent", ylabel="pairs with this label first (%)")
    axes.set(yscale="log", xlim=(0, num + 1))
    axes.yaxis.set_major_formatter("{x:g}")


@drawn_or_why(missing_llm)
def figure_4a(results: Results) -> Figure:
    """Match rate and recalls of the fine-tuned model over training steps, each with a ring on the step of its peak."""
    rows = curve_rows(results)
    figure, axes = panel(3.5)
    names = [name for name in rows[0] if "match rate" in name or "recall" in name]
    styles = {
        name: {
            "marker": next((marker for words, marker in _MARKERS.items() if name.endswith(words)), "D"),
            "linestyle": "--" if name.startswith("recall@1,") else "-",
        }
        for name in names
    }
    steps = [row["step"] for row in rows]
    draw_tuning(axes, {name: Curve(steps, [row.get(name) for row in rows]) for name in names}, styles)
    for line in axes.lines:
        shares = np.asarray(line.get_ydata(), np.float64)
        if np.isfinite(shares).any():
            best = int(np.nanargmax(shares))
            ring: Any = {"s": 110, "facecolors": "none", "edgecolors": line.get_color(), "zorder": 3}
            axes.scatter([steps[best]], [shares[best]], **ring)
    legend_below(figure, axes)
    return figure


def draw_tuning(axes: Axes, curves: Mapping[str, Curve], styles: Mapping[str, Mapping[str, Any]]) -> None:
    """Shares over the steps of a fine-tuning, the first in black."""
    for (name, curve), colour in zip(curves.items(), (BLACK, *COLOURS), strict=False):
        draw_curve(axes, curve, name, {"color": colour, **styles[name]}, worlds=True)
    axes.set(xlabel="fine-tuning step", ylabel="share (%); recall under the trie", ylim=(-4, 108))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _mode(described: LanguageModel) -> str | None:
    mode: str | None = described.get("curation", {}).get("mode")
    return mode


def _numbers(skew: dict[str, float]) -> str:
    return (
        f"Gini {skew['gini']:.2f}, entropy {skew['normalised_entropy']:.2f}, coverage {skew['coverage']:.0%},\n"
        f"most frequent hundredth of labels: {skew['top_1_percent_share']:.0%} of pairs"
    )
