"""``report.html``: one self-contained page for one experiment, from ``results.json`` and figures.

The page needs no network, follows the reader's light or dark setting, and is legible on a phone
and on paper. Its sentences are computed from the results: a difference counts as detected only where its
adjusted p-value is below .05, and there are enough users and days.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.compare.effects_section import effects_section
from experiments.compare.summary import SPACE, decimals, leaves_zero_out, lift_text, p_text, summary
from experiments.inference.bands import MIN_ARM_USERS, MIN_REFERENCE_USERS
from experiments.measures.metrics import METRICS, PRIMARY, TRAILING_DAYS, Metric
from experiments.measures.significance import significant, too_few
from experiments.reporting import definitions
from experiments.reporting.figures.arms import arm_styles, baselines
from experiments.reporting.figures.comparison import missing, narrow_figures_of
from experiments.reporting.figures.language_model import curve_rows, figure_3, figure_4a, tables
from experiments.reporting.figures.multiples import CROWD
from experiments.reporting.html import cell, figure_entry, write_page
from experiments.reporting.text import (
    UNKNOWN,
    between,
    ends,
    entry_rows,
    listed,
    number,
    record_table,
)
from experiments.reporting.words import worded, worded_rows
from experiments.results_schema import Estimate, LiftRow, Results

_EXPECTED = ("figure_4b", "figure_4c", "figure_5", "sequential")
DIVERSIONS = {
    "twins": "the same users in every arm, with common random numbers (twins)",
    "split": "different users in each arm (split)",
    "shared": "different users in each arm, models trained on all arms' logs (shared)",
    "codiverted": "different users and different items in each arm (codiverted)",
}
"""Who is in an arm, by ``experiment.diversion``."""

_OF_THE_LLM = ("figure_3", "figure_4a")
_OF_EFFECTS = ("effects", "harm")
_MARKS = (  # fall and rise, each unsure and sure after adjustment for many metrics
    ("\N{WHITE DOWN-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"),
    ("\N{WHITE UP-POINTING TRIANGLE}", "\N{BLACK UP-POINTING TRIANGLE}"),
)
_SHOWN_APART = ("curve", "label_skew", "label_counts")
_TERMS = (
    "arm",
    "control",
    "reference",
    "agent's slots",
    "impression",
    "consumed",
    "positive",
    "cluster",
    "novel",
    "dormant interest",
    "relative difference",
    "95% interval",
    "adjusted p-value",
    "UCI@N",
)


def write_report(results: Results, timings: dict[str, float], figures: dict[str, Figure], folder: Path) -> Path:
    """Write ``folder/report.html``, first under a temporary name, then renamed.

    Args:
        results: as ``results.assemble`` returns it; a key ``"llm"`` with ``"curve"`` (a list of
            rows with ``"step"``) and ``"label_skew"`` adds a section on the language model.
        timings: seconds by stage; kept out of ``results`` because they differ from run to run.
        figures: by name (``"figure_4b"``, …); those that the page expects and does not get are
            said to be missing.

    Returns:
        The path written.
    """
    return write_page("report.html.j2", _content(results, timings, figures), folder / "report.html")


def captions(results: Results) -> dict[str, str]:
    """Caption of each figure: what is drawn, of how many users, and what the intervals mean."""
    control, reference = baselines(results)
    users = _users(results)
    uci = next((curve["vs"] for curve in results["uci"].values()), reference)
    conditional = "Intervals are over users and conditional on this one simulated world."
    crowded = len(results["lifts"]) > CROWD
    a_panel = " A panel an arm; the other arms are in grey." if crowded else ""
    cut = " Very wide bands are cut off." if crowded else ""
    return {
        "figure_3": "Share of all pairs of clusters that have each label as their best, from the most to the least "
        "frequent label; a curve ends where labels never come first. Entropy as a share of the largest possible.",
        "figure_4a": "Match rate (share of generated texts that are exactly a cluster's name) and recall of "
        "transitions under the trie (all labels scored, none generated) over fine-tuning steps: on the "
        "fine-tuning set, on held-out pairs, and on later days where some were kept. A ring marks the highest point "
        "of a curve.",
        "figure_4b": f"Novel impressions against positive feedback on the agent's slots, relative to {reference}, "
        f"which is at (0, 0). Bars are 95% intervals, each by itself.{a_panel} {users} {conditional}",
        "figure_4c": "UCI@N: assigned users with at least N distinct clusters consumed in the last "
        f"{TRAILING_DAYS} days, relative to {uci}. Bands hold for all N at once (95%, bootstrap of users). N is "
        f"shown where at least {MIN_REFERENCE_USERS} users of {uci} reach it, the band where at least "
        f"{MIN_ARM_USERS} of the arm do.{a_panel}{cut} {users} {conditional}",
        "figure_5": f"Watch time and active users on each day, relative to {control}. Bands hold for all days of a "
        f"curve at once (95%, sup-t).{a_panel}{cut} {users} {conditional}",
        "effects": "Mean of users' own differences in watch time, by third of a trait that users have before the "
        f"experiment. Lines are 95% intervals, each by itself. {users} {conditional}",
        "harm": "Share of users who watch much less, and much more, than in their life under the control; diamonds: "
        f"net, better less worse off, with 95% intervals. {users} {conditional}",
        "sequential": "The primary metrics over all days so far, as one would watch them in a running experiment. "
        "Bands are always valid (95%): with no difference, the chance that one leaves zero out on any day at all "
        f"is 5% or less, however often one looks.{a_panel}{cut} {users} {conditional}",
    }


def _content(results: Results, timings: dict[str, float], figures: dict[str, Figure]) -> dict[str, Any]:
    """Everything that the template shows, as strings and lists of strings."""
    llm = results.get("llm") or {}
    own = {draw.__name__: draw for draw in (figure_3, figure_4a) if missing(results, draw.__name__) is None}
    figures = {name: draw(results) for name, draw in own.items() if name not in figures} | figures
    narrow = narrow_figures_of(results)
    named = sorted({*figures, *_EXPECTED})
    config, arms = results["config"], list(results["arms"])
    effects = results.get("effects")
    return {
        "title": "A/B comparison of " + (f"{len(arms)} arms" if len(arms) > CROWD else listed(arms)),
        "setting": _users(results),
        "diversion": _diversion(results),
        "summary": summary(results),
        "drawn": [_figure(results, name, figures, narrow) for name in named if name not in _OF_THE_LLM + _OF_EFFECTS],
        "effects": effects_section(results),
        "effect_figures": [_figure(results, name, figures, narrow) for name in _OF_EFFECTS if name in figures],
        "effect_arms": _heads(results, effects["arms"] if effects else ()),
        "llm_figures": [_figure(results, name, figures, narrow) for name in named if name in _OF_THE_LLM],
        "arms": _heads(results, arms),
        "estimates": [
            {"title": m.title, "unit": m.unit, "cells": [_estimate(of[m.name], m) for of in results["arms"].values()]}
            for m in METRICS
        ],
        "lift_arms": _heads(results, results["lifts"]),
        "lifts": [_lift_row(results, m) for m in METRICS],
        "key_settings": entry_rows(config.get("experiment", {})) + entry_rows(config.get("world", {})),
        "config": entry_rows(config),
        "llm": bool(llm),
        "curve": record_table(curve_rows(results)),
        "label_skew": _skew(results),
        "llm_other": worded_rows({key: value for key, value in llm.items() if key not in _SHOWN_APART}),
        "costs": worded_rows(results["costs"]),
        "timings": [(stage, f"{seconds:,.1f}") for stage, seconds in timings.items()],
        "total": f"{sum(timings.values()):,.1f}",
        "terms": definitions.terms(*_TERMS),
        "metrics": definitions.metrics(),
    }


def _heads(results: Results, arms: Collection[str]) -> list[dict[str, Any]]:
    """Of these arms, in the order of the results, with the colour of each."""
    styles = arm_styles(results)
    return [{"title": name, "color": styles[name]["color"]} for name in results["arms"] if name in arms]


def _figure(results: Results, name: str, figures: Mapping[str, Figure], narrow: Mapping[str, Figure]) -> dict[str, Any]:
    reason = missing(results, name)
    figure = figures.get(name) if reason is None else None
    return figure_entry(name, captions(results).get(name, ""), figure, reason or "it was not drawn", narrow.get(name))


def _users(results: Results) -> str:
    """How many users each arm has and how they came there, as a sentence."""
    counts = [of_arm["watch_minutes_per_user_day"]["n"] for of_arm in results["arms"].values()]
    few, many = min(counts, default=0), max(counts, default=0)
    number = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    days = len(results["daily"]["day"])
    how = DIVERSIONS.get(results["config"].get("experiment", {}).get("diversion"))
    return f"{number} users per arm over {days} day{'s' if days != 1 else ''}" + (f", {how}." if how else ".")


def _diversion(results: Results) -> dict[str, Any] | None:
    """Whether users were split as meant, as a sentence; None in twins."""
    checked = results["sample_ratio"]
    if checked is None:
        return None
    counts = ", ".join(f"{name} {users:,}" for name, users in checked["users"].items())
    p = f"p = {checked['p']:.3g}"
    if checked["mismatch"]:
        text = f"Sample ratio mismatch ({p}): the arms do not have equal numbers of users ({counts}). Users were not "
        return {"mismatch": True, "text": text + "assigned as meant; believe no difference on this page."}
    return {"mismatch": False, "text": f"Users per arm: {counts}; no sample ratio mismatch (chi-square, {p})."}


def _estimate(estimated: Estimate, metric: Metric) -> dict[str, Any]:
    factor, unit = (100.0, "%") if metric.unit == "share" else (1.0, "")
    style = f".{decimals(ends(estimated), factor)}f"
    value = number(estimated["value"], style, factor, unit)
    low, high = estimated["low"], estimated["high"]
    if metric.unit == "share" and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)  # a normal approximation may go beyond
    return cell(value, between(low, high, style, factor))


def _lift_row(results: Results, metric: Metric) -> dict[str, Any]:
    row = [of_arm[metric.name] for of_arm in results["lifts"].values()]
    few = bool(too_few(results))
    vs = next((lift["vs"] for lift in row if lift["vs"]), UNKNOWN)
    cells = [_lift_cell(lift, few) for lift in row]
    return {"title": metric.title, "unit": f"against {vs}", "cells": cells, "strong": metric.name in PRIMARY}


def _lift_cell(lift: LiftRow, few: bool) -> dict[str, Any]:
    relative, adjusted = lift["relative"], lift["p_adjusted"]
    if relative is None:
        return cell(UNKNOWN)
    alone = leaves_zero_out(lift)
    different = alone and significant(adjusted) and not few
    mark = _MARKS[relative > 0][different] if alone else ""
    value, _, interval = lift_text(lift).partition(SPACE)
    p = "" if lift["p"] is None or adjusted is None else f"{p_text(lift['p'])}, adjusted {p_text(adjusted)[2:]}"
    plain = lift.get("unadjusted")
    without = "" if plain is None else f"without CUPED {lift_text(plain)}"
    return cell(f"{mark} {value}", interval, p, without, sure=different)


def _skew(results: Results) -> dict[str, list[Any]]:
    """The skew of each table's labels, a row a table."""
    skews: Any = {name: table["label_skew"] for name, table in tables(results).items()}
    skews = skews or results.get("llm", {}).get("label_skew") or {}
    if skews and not all(isinstance(value, dict) for value in skews.values()):
        skews = {"": skews}
    return record_table([{"table": name.replace("_", " "), **worded(skew)} for name, skew in skews.items()])
