"""``report.html`` of ``interestlab paper``: verdicts, controls, figures, every arm; one file, no network."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.compare.page import DIVERSIONS
from experiments.measures.metrics import METRICS, Metric
from experiments.paper.live import COMPARABLE
from experiments.paper.verdicts import FAILS, HOLDS, NOT_RUN, OPEN, TOO_FEW
from experiments.reporting.html import cell, figure_entry, write_page
from experiments.reporting.text import UNKNOWN, between, entry_rows, estimate, number
from experiments.results_schema import ClaimRow, OverWorldsRow, PaperResults, VariantSummary
from experiments.several.plan import A_A, ALPHA_0, CURATION, MAIN, NOTHING_TO_FIND, TWIN

TITLES = {
    MAIN: "The comparison",
    TWIN: "The LLM and its twin (alpha = 1)",
    ALPHA_0: "The same with labels permuted (alpha = 0)",
    NOTHING_TO_FIND: "Nothing to find, no satiation",
    A_A: "The same agent twice (A/A)",
    CURATION: "Two curations",
}
"""Headings of the variants' tables."""

CAPTIONS = {
    "figure_3": "Share of all pairs of clusters that have each label as their best, from the most to the least "
    "frequent. Faint: worlds; bold: their mean.",
    "figure_4a": "Share of freely generated texts that are exactly a cluster's name, and recall@10 of transitions "
    "under the trie (all labels scored; the paper's is of generated texts), over fine-tuning steps. Faint: worlds; "
    "bands hold for all steps at once.",
    "figure_4b": "Novel impressions against positive feedback on the agent's own slots, relative to the hierarchical "
    "bandit. Crosses: worlds; bars: 95% intervals over worlds.",
    "figure_4c": "UCI@N: users with at least N distinct clusters in the last seven days, relative to the bandit. "
    "Faint: the LLM's worlds; bands hold for all N at once. Grey ground: the paper's range of N, as shares of all "
    "clusters.",
    "figure_5": "Watch time and active users on each day, relative to production alone. Faint: the LLM's worlds; bands "
    "hold for all days at once.",
    "controls": "What must vanish, beside what it is the control of. Grey: a world. Blue: the mean and its interval "
    "(95%, over worlds).",
}
"""What is drawn in each figure."""

_KINDS = {HOLDS: "good", FAILS: "bad"}


def write_paper_page(results: PaperResults, claims: list[ClaimRow], figures: dict[str, Figure], path: Path) -> Path:
    """Write the page, first under a temporary name, then renamed.

    Args:
        results: as ``interestlab paper`` writes them.
        claims: their claims, with C8 as this machine's clock has it.
        figures: by name.
        path: of the page.
    """
    config = results["config"][MAIN]
    content = {
        "title": "User interest exploration with a language model: the paper's claims, in simulation",
        "setting": _setting(config, results["seeds"]),
        "counts": _counts(claims),
        "claims": [_row(claim) for claim in claims],
        "controls": [_row(control) for control in results["controls"]],
        "findings": [_row(finding) for finding in results["what_language_adds"]],
        "drawn": [
            figure_entry(name, caption, figures.get(name), "its variant or arms were not run")
            for name, caption in CAPTIONS.items()
        ],
        "variants": [_variant(name, of_variant) for name, of_variant in results["variants"].items()],
        "config": entry_rows(config, ""),
        "num_worlds": len(results["seeds"]),
        "comparable": f"{COMPARABLE:.0%}",
        "metrics": METRICS,
    }
    return write_page("paper.html.j2", content, path)


def _setting(config: dict[str, Any], seeds: list[int]) -> str:
    world, experiment = config["world"], config["experiment"]
    return (
        f"{len(seeds)} worlds (seeds {', '.join(map(str, seeds))}) of {world['num_users']:,} users, "
        f"{world['num_items']:,} items and {world['num_interests']} interests; {experiment['burn_in_days']} days under "
        f"production, then {experiment['days']} days with {experiment['exploration_slots']} of {experiment['slots']} "
        f"slots the agent's, {DIVERSIONS[experiment['diversion']]}."
    )


def _counts(claims: list[ClaimRow]) -> str:
    verdicts = [claim["verdict"] for claim in claims]
    known = [verdict for verdict in (HOLDS, FAILS, OPEN, TOO_FEW, NOT_RUN) if verdict in verdicts]
    return "; ".join(f"{verdict}: {verdicts.count(verdict)}" for verdict in known)


def _row(claim: ClaimRow) -> dict[str, Any]:
    """A claim's or control's row as text."""
    known = [abs(value) for value in (claim["here"], claim["low"], claim["high"]) if value is not None]
    digits = 1 if max(known, default=0.0) >= 1 else 2
    sign = "" if claim["unit"] in ("hours", "% of N", "% at best", "% of tests") else "+"

    style = f"{sign}.{digits}f"
    interval = between(claim["low"], claim["high"], style)
    kind = _KINDS.get(claim["verdict"], "open")
    return {**claim, "here": number(claim["here"], style), "interval": interval, "kind": kind}


def _variant(name: str, of_variant: VariantSummary) -> dict[str, Any]:
    """Every arm's metrics over worlds, with the differences to the control below them."""
    arms = of_variant["arms"]
    rows = []
    for arm, values in arms.items():
        lifts = of_variant["lifts"].get(arm, {})
        rows.append({"title": arm, "cells": [_cell(values[m.name], lifts.get(m.name), m) for m in METRICS]})
    reports = [(seed, f"{name}/seed_{seed}/report.html") for seed in of_variant["seeds"]]
    title = TITLES.get(name, name)
    return {"name": name, "title": title, "control": of_variant["control"], "rows": rows, "reports": reports}


def _cell(value: OverWorldsRow, lift: OverWorldsRow | None, metric: Metric) -> dict[str, Any]:
    if value["mean"] is None:
        return cell(UNKNOWN)
    factor, unit = (100.0, "%") if metric.unit == "share" else (1.0, "")
    size = abs(value["mean"] * factor)
    style = f".{1 if size >= 10 else 2 if size >= 1 else 3}f"
    difference = "" if lift is None or lift["mean"] is None else estimate(lift, "+.1f", 100.0, "%")
    interval = between(value["low"], value["high"], style, factor)
    return cell(number(value["mean"], style, factor, unit), interval, difference, sort=f"{value['mean']:.10g}")
