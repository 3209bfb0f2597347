"""``report.html`` of ``interestlab paper``: verdicts, controls, figures, every arm; one file, no network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.compare.page import DIVERSIONS
from experiments.measures.metrics import METRICS, Metric
from experiments.paper.live import COMPARABLE
from experiments.paper.verdicts import FAILS, HOLDS, NOT_RUN, OPEN, TOO_FEW
from experiments.reporting import definitions
from experiments.reporting.html import cell, figure_entry, write_page
from experiments.reporting.text import UNKNOWN, between, entry_rows, estimate, listed, number
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
    "figure_4b": "Novel impressions against positive feedback on the agent's slots, relative differences to the "
    "hierarchical bandit (hcb), which is at (0, 0). A panel an arm; the other arms' means are in grey. Crosses: "
    "worlds; bars: 95% intervals over worlds, each by itself.",
    "figure_4c": "UCI@N, the users with at least N distinct clusters in the last seven days: relative difference to "
    "the hierarchical bandit (hcb). A panel an arm; the other arms' means are in grey. Faint: worlds; bands: 95%, over "
    "worlds, for all N at once; very wide bands are cut off. Grey ground: the paper's range of N, as shares of all "
    "clusters.",
    "figure_5": "Watch time and active users on each day, relative difference to the control arm. A panel an arm; the "
    "other arms' means are in grey. Faint: worlds; bands: 95%, over worlds, for all days of a panel at once; very wide "
    "bands are cut off.",
    "controls": "Controls, in which a difference must vanish, and what they are controls of. Grey: a world. Blue: the "
    "mean and its 95% interval over worlds, each by itself.",
}
"""What is drawn in each figure."""

_TERMS = ("world", "arm", "control", "agent's slots", "cluster", "novel", "positive", "dormant interest", "UCI@N")
_KINDS = {HOLDS: "good", FAILS: "bad"}


def write_paper_page(
    results: PaperResults,
    claims: list[ClaimRow],
    adjusted: Mapping[str, str],
    figures: tuple[Mapping[str, Figure], Mapping[str, Figure]],
    path: Path,
) -> Path:
    """Write the page, first under a temporary name, then renamed.

    Args:
        results: as ``interestlab paper`` writes them.
        claims: their claims, with C8 as this machine's clock has it.
        adjusted: id -> verdict, see ``adjusted.adjusted_verdicts``.
        figures: by name, and those that a phone needs drawn anew.
        path: of the page.
    """
    config = results["config"][MAIN]
    wide, narrow = figures
    content = {
        "title": "User interest exploration with a language model: the paper's claims, in simulation",
        "setting": _setting(config, results["seeds"]),
        "summary": summary(claims, results, adjusted),
        "claims": [_row(claim, adjusted) for claim in claims],
        "controls": [_row(control, adjusted) for control in results["controls"]],
        "findings": [_row(finding, adjusted) for finding in results["what_language_adds"]],
        "drawn": [
            figure_entry(name, caption, wide.get(name), "its variant or arms were not run", narrow.get(name))
            for name, caption in CAPTIONS.items()
        ],
        "variants": [_variant(name, of_variant) for name, of_variant in results["variants"].items()],
        "config": entry_rows(config, ""),
        "num_worlds": len(results["seeds"]),
        "comparable": f"{COMPARABLE:.0%}",
        "metrics": METRICS,
        "terms": definitions.terms(*_TERMS),
        "definitions_of_metrics": definitions.metrics(),
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


def summary(claims: list[ClaimRow], results: PaperResults, adjusted: Mapping[str, str]) -> list[str]:
    """A sentence for each table, by verdicts that are adjusted for the number of its rows."""
    tables = {
        "claims": claims,
        "controls": results["controls"],
        "findings on language": results["what_language_adds"],
    }
    lines = []
    for what, rows in tables.items():
        of_verdict = {
            verdict: [row["id"] for row in rows if adjusted[row["id"]] == verdict]
            for verdict in (HOLDS, FAILS, OPEN, TOO_FEW, NOT_RUN)
        }
        quoted = {verdict: ", ".join(f"“{each}”" for each in ids) for verdict, ids in of_verdict.items() if ids}
        said = [f"{verdict}: {len(of_verdict[verdict])} ({ids})" for verdict, ids in quoted.items()]
        weaker = [f"“{row['id']}”" for row in rows if row["verdict"] != adjusted[row["id"]]]
        alone = f" By its own interval alone another verdict would be given to {listed(weaker)}." if weaker else ""
        lines.append(f"Of {len(rows)} {what}, after adjustment for their number: {'; '.join(said)}.{alone}")
    return lines


def _row(claim: ClaimRow, adjusted: Mapping[str, str]) -> dict[str, Any]:
    """A claim's or control's row as text, its verdict adjusted; ``alone``: the other verdict of its own interval."""
    known = [abs(value) for value in (claim["here"], claim["low"], claim["high"]) if value is not None]
    digits = 1 if max(known, default=0.0) >= 1 else 2
    sign = "" if claim["unit"] in ("hours", "% of N", "% at best", "% of tests") else "+"

    style = f"{sign}.{digits}f"
    interval = between(claim["low"], claim["high"], style)
    verdict = adjusted[claim["id"]]
    alone = claim["verdict"] if claim["verdict"] != verdict else ""
    text = {"here": number(claim["here"], style), "interval": interval}
    return {**claim, **text, "verdict": verdict, "alone": alone, "kind": _KINDS.get(verdict, "open")}


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
