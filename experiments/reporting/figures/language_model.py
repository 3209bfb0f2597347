"""What there is to see of the language model: figures 3 and 4a of Wang et al. (2024)."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from experiments.reporting.figures.axes import COLOURS, drawn_missing, floats, legend_below, panels_of
from experiments.reporting.figures.files import STYLE
from experiments.results_schema import LanguageModel, Results

_SETS = {"fine tuning": "o", "held out": "^", "later days": "s"}  # markers of what recalls are taken on


def missing_llm(results: Results, name: str) -> str | None:
    """Why ``figure_3`` or ``figure_4a`` cannot be drawn, or ``None`` if it can."""
    if name == "figure_4a" and not results.get("llm", {}).get("curve"):
        return "no fine-tuning curve in these results"
    if name == "figure_3" and not any(sum(each["label_counts"]) for each in tables(results).values()):
        return "no language model's table in these results"
    return None


def curve_rows(results: Results) -> list[dict[str, Any]]:
    """The fine-tuning curve, a flat row for each step; ``{"held_out": {"recall@1"}}`` is ``held out recall@1``."""

    def flat(row: dict[str, Any], path: str) -> dict[str, Any]:
        named = {f"{path} {key}".strip().replace("_", " "): value for key, value in row.items()}
        parts = (flat(value, key) if isinstance(value, dict) else {key: value} for key, value in named.items())
        return {key: value for part in parts for key, value in part.items()}

    return [flat(row, "") for row in results.get("llm", {}).get("curve") or []]


def tables(results: Results) -> dict[str, LanguageModel]:
    """What is known of the tables that figure 3 compares: the model's, and another curation's, if there is one."""
    main = results.get("llm", {})
    if "label_counts" not in main:
        return {}
    mode = _mode(main)
    found = {f"{mode} curation" if mode else "no fine-tuning": main}
    for arm in results.get("llm_arms", {}).values():
        if mode and _mode(arm) not in (None, mode) and "label_counts" in arm:
            found.setdefault(f"{_mode(arm)} curation", arm)
    return found


def figure_3(results: Results) -> Figure:
    """How many pairs of clusters have each label as their best, labels from the most to the least frequent.

    Beside the curves, what would be even. A curve ends where labels never come first.
    """
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 3.6)
        if drawn_missing(axes, missing_llm(results, "figure_3")):
            return figure
        num = 1
        for (name, table), colour in zip(tables(results).items(), COLOURS, strict=False):
            count = np.sort(np.asarray(table["label_counts"], np.float64))[::-1]
            num, named = max(num, len(count)), int((count > 0).sum())
            share = 100 * count[:named] / max(count.sum(), 1.0)
            label = f"{name}: {_numbers(table['label_skew'])}"
            axes.plot(np.arange(1, named + 1), share, color=colour, label=label, drawstyle="steps-mid")
        axes.axhline(100 / num, color="#555555", linewidth=0.9, linestyle=":", label="every label as often")
        axes.set(xlabel="label, from the most to the least frequent", ylabel="pairs with this label first (%)")
        axes.set(yscale="log", xlim=(0, num + 1))
        axes.yaxis.set_major_formatter("{x:g}")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1, fontsize=8)
    return figure


def figure_4a(results: Results) -> Figure:
    """Match rate and recalls of the fine-tuned model over training steps, each with a ring on the step of its peak."""
    rows = curve_rows(results)
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = panels_of(1, 3.5)
        if drawn_missing(axes, missing_llm(results, "figure_4a")):
            return figure
        steps = [row["step"] for row in rows]
        columns = [key for key in rows[0] if "match rate" in key or "recall" in key]
        for key, colour in zip(columns, ("#000000", *COLOURS), strict=False):
            marker = next((marker for name, marker in _SETS.items() if key.startswith(name)), "D")
            shares = 100 * floats([row.get(key) for row in rows])
            dashes = "--" if key.endswith("@1") else "-"
            axes.plot(steps, shares, color=colour, marker=marker, linestyle=dashes, label=key)
            if np.isfinite(shares).any():
                best = int(np.nanargmax(shares))
                axes.scatter([steps[best]], [shares[best]], s=110, facecolors="none", edgecolors=colour, zorder=3)
        axes.set(xlabel="fine-tuning step", ylabel="share (%); recall under the trie", ylim=(-3, 106))
        legend_below(figure, axes)
    return figure


def _mode(described: LanguageModel) -> str | None:
    mode: str | None = described.get("curation", {}).get("mode")
    return mode


def _numbers(skew: dict[str, float]) -> str:
    return (
        f"Gini {skew['gini']:.2f}, entropy {skew['normalised_entropy']:.2f},\n"
        f"coverage {skew['coverage']:.0%}, most frequent hundredth of labels {skew['top_1_percent_share']:.0%} of pairs"
    )
