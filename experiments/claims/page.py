"""``report.html`` of ``interestlab paper``: verdicts, figures, every arm in every world; one file, no network."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.across_worlds import OverWorlds
from experiments.claims.criteria import MARGIN, Variants
from experiments.claims.plan import MAIN, NOTHING_TO_FIND, PERMUTED, SAME_TWICE
from experiments.claims.worlds import Worlds
from experiments.figures.files import svg_source
from experiments.html_page import write_page
from experiments.metrics import METRICS, Metric

_TITLES = {
    MAIN: "The comparison",
    PERMUTED: "Labels permuted (alpha = 0)",
    NOTHING_TO_FIND: "Nothing to find, no satiation",
    SAME_TWICE: "The same agent twice (A/A)",
}
_CAPTIONS = {
    "figure_3": "Pairs of clusters that have each label as their best, over all pairs, labels from the most to the "
    "least frequent. Bold: mean over worlds.",
    "figure_4a": "Share of freely generated texts that are exactly a cluster's name, and recall@10 of transitions, "
    "over fine-tuning steps. Bands: 95% intervals over worlds, each step by itself.",
    "figure_4b": "Novel impressions against positive feedback on the agent's own slots, relative to the hierarchical "
    "bandit. Bars: 95% intervals over worlds.",
    "figure_4c": "UCI@N: assigned users with at least N distinct clusters in the last seven days, relative to the "
    "bandit, at every N that all worlds show. Bands hold for all N at once.",
    "figure_5": "Watch time and active users on each day, relative to production alone. Bands hold for all days "
    "at once.",
    "controls": "What must vanish, beside what it is the control of. Grey: a world. Blue: mean and 95% interval.",
}
_SHARED = "Thin lines are worlds."


def write_paper_page(
    results: dict[str, Any], speed: dict[str, Any], variants: Variants, figures: dict[str, Figure], path: Path
) -> Path:
    """Write the page, first under a temporary name, then renamed.

    Args:
        results: as ``interestlab paper`` writes it.
        speed: C8's row, which is about time and therefore not among the results.
        variants: every variant's worlds.
        figures: by name.
        path: of the page.
    """
    rows = [_row(claim) for claim in (*results["claims"], speed)]
    content = {
        "title": "LLMs for user interest exploration: the claims, in simulation",
        "seeds": ", ".join(map(str, results["seeds"])),
        "num_worlds": len(results["seeds"]),
        "world": _world(variants[MAIN]),
        "claims": rows,
        "controls": [_row(control) for control in results["controls"]],
        "figures": [
            {"name": name, "title": name.replace("_", " ").capitalize(), "source": svg_source(figure),
             "caption": _CAPTIONS[name] + ("" if name in ("figure_4b", "controls") else f" {_SHARED}")}
            for name, figure in figures.items()
        ],
        "variants": [_variant(name, worlds) for name, worlds in variants.items()],
        "margin": f"{MARGIN:.0%}",
    }  # fmt: skip
    return write_page("paper.html.j2", content, path)


def _world(worlds: Worlds) -> str:
    config = worlds.each[0]["config"]
    world, experiment = config["world"], config["experiment"]
    return (
        f"{world['num_users']:,} users, {world['num_interests']} interests, {experiment['burn_in_days']} days of "
        f"burn-in and {experiment['days']} of A/B, {experiment['exploration_slots']} of {experiment['slots']} slots "
        "the agent's, the same users under the same luck in every arm"
    )


def _row(claim: dict[str, Any]) -> dict[str, Any]:
    """A claim as text, with what the column sorts by."""
    low, high = claim["low"], claim["high"]
    digits = 1 if max((abs(v) for v in (claim["here"], low, high) if v is not None), default=0) >= 1 else 2
    here = "\N{EN DASH}" if claim["here"] is None else _signed(claim["here"], digits)
    between = "" if low is None or high is None else f"[{_signed(low, digits)}, {_signed(high, digits)}]"
    kind = {"holds": "good", "as it must": "good", "does not hold": "bad", "not as it must": "bad"}
    return {**claim, "here": here, "interval": between, "kind": kind.get(claim["verdict"], "open")}


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _variant(name: str, worlds: Worlds) -> dict[str, Any]:
    """A table of arms by metrics: means over worlds with intervals."""
    rows = []
    for arm in worlds.arms:
        cells = [_cell(worlds.value(arm, metric.name), metric) for metric in METRICS]
        rows.append({"arm": arm, "cells": cells})
    reports = [f"{name}/seed_{seed}/report.html" for seed in worlds.seeds]
    return {"name": name, "title": _TITLES.get(name, name), "metrics": METRICS, "rows": rows, "reports": reports}


def _cell(found: OverWorlds, metric: Metric) -> dict[str, Any]:
    if found.mean is None:
        return {"text": "\N{EN DASH}", "interval": "", "value": ""}
    factor, sign = (100.0, "%") if metric.unit == "share" else (1.0, "")
    value = found.mean * factor
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    between = ""
    if found.low is not None and found.high is not None:
        between = f"[{found.low * factor:.{digits}f}, {found.high * factor:.{digits}f}]"
    text = f"{value:.{digits}f}{sign}".replace("-", "\N{MINUS SIGN}")
    return {"text": text, "interval": between.replace("-", "\N{MINUS SIGN}"), "value": f"{found.mean:.10g}"}
