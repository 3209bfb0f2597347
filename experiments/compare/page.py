"""``report.html``: one self-contained page for one experiment, from ``results.json`` and figures.

The page needs no network, follows the reader's light or dark setting, and is legible on a phone
and on paper. What it says in words is computed from the results: a difference is one only where its
adjusted p-value says so, and there are enough users and days.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.special import ndtri

from experiments.compare.effects_section import effects_section
from experiments.inference.bands import MIN_ARM_USERS, MIN_REFERENCE_USERS
from experiments.inference.users import LEVEL
from experiments.measures.metrics import METRICS, PRIMARY, TRAILING_DAYS, Metric
from experiments.measures.significance import FEW_DAYS, FEW_USERS, significant, too_few
from experiments.measures.variety import RAREFIED_WATCHES
from experiments.reporting.figures.arms import arm_styles, baselines
from experiments.reporting.figures.comparison import missing
from experiments.reporting.figures.curves import CROWD
from experiments.reporting.figures.language_model import curve_rows, figure_3, figure_4a, tables
from experiments.reporting.html import cell, figure_entry, write_page
from experiments.reporting.text import (
    UNKNOWN,
    between,
    ends,
    entry_rows,
    estimate,
    listed,
    number,
    record_table,
)
from experiments.results_schema import Estimate, LiftRow, MetricName, PlainLift, Results

HEADLINES: tuple[tuple[MetricName, str, str, str], ...] = (
    ("novel_impression_ratio_agent_slots", "Novelty of the agent's slots", "higher", "lower"),
    ("positive_rate_agent_slots", "Positive feedback on the agent's slots", "higher", "lower"),
    ("watch_minutes_per_user_day", "Watch time", "higher", "lower"),
    ("active_user_share", "Active users", "more", "fewer"),
    ("discoveries_per_user", "Discoveries of dormant interests", "more", "fewer"),
)
"""What the summary speaks of: metric, subject of the sentence, words for a rise and for a fall."""


_SPACE = "\N{NO-BREAK SPACE}"  # an interval is not broken over two lines
_EXPECTED = ("figure_4b", "figure_4c", "figure_5", "sequential")
DIVERSIONS = {
    "twins": "the same users under the same luck in every arm (twins)",
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


def summary(results: Results) -> list[str]:
    """What happened, a sentence for each of ``HEADLINES``, with intervals.

    A difference is one where its p-value, adjusted for the number of metrics, is below .05, as in the table. With
    fewer than ``FEW_USERS`` or ``FEW_DAYS`` nothing is called one.
    """
    sentences, few = [], too_few(results)
    if few:
        wanted = f"{FEW_USERS} users an arm, or {FEW_DAYS} days,"
        sentences.append(f"Too few to tell: {few}. Below {wanted} no difference is called one, whatever its interval.")
    for metric, subject, rise, fall in HEADLINES:
        lifts = {arm: of_arm[metric] for arm, of_arm in results["lifts"].items()}
        known = {arm: lift for arm, lift in lifts.items() if None not in ends(lift)}
        if not known:
            sentences.append(f"{subject}: no comparison available{_no_reference(results, lifts)}.")
            continue
        best_first = sorted(known, key=lambda arm: -(known[arm]["relative"] or 0.0))
        differing = [arm for arm in best_first if significant(known[arm]["p_adjusted"]) and not few]
        above = [arm for arm in differing if (known[arm]["relative"] or 0.0) > 0]
        below = [arm for arm in reversed(differing) if arm not in above]
        level = [arm for arm in best_first if arm not in differing]
        told = [f"{word} under {_extreme(arms, known)}" for word, arms in ((rise, above), (fall, below)) if arms]
        if level:
            least = [f"{arm} ({_lift(known[arm])}; seen from ±{_detectable(known[arm])})" for arm in level]
            told.append(("too few to tell for " if few else "no difference detected for ") + listed(least))
        sentences.append(f"{subject} against {lifts[next(iter(known))]['vs']}: {'; '.join(told)}.")
    return sentences


def _no_reference(results: Results, lifts: Mapping[str, LiftRow]) -> str:
    """Why nothing is compared, where that is because the reference is not among the arms."""
    reference = results["config"].get("experiment", {}).get("reference")
    absent = reference not in results["arms"] and all(lift["vs"] is None for lift in lifts.values())
    return f", since experiment.reference={reference} is not among the arms" if absent else ""


def _detectable(lift: LiftRow) -> str:
    """The smallest lift that such an experiment would tell from 0, by itself, in four of five cases, in percent.

    (z(.975) + z(.8)) standard errors; the interval's half width is z(.975) of them.
    """
    _, low, high = ends(lift)
    assert low is not None
    assert high is not None
    value = 50.0 * (high - low) * float((ndtri(0.5 + LEVEL / 2) + ndtri(0.8)) / ndtri(0.5 + LEVEL / 2))
    return f"{value:.{_decimals((value, None, None))}f}%"


def _extreme(arms: list[str], lifts: dict[str, LiftRow]) -> str:
    """The first arm with its lift, the others by name: the table has the rest."""
    first = f"{arms[0]} ({_lift(lifts[arms[0]])})"
    return first if len(arms) == 1 else f"{first}, then {listed(arms[1:])}"


def captions(results: Results) -> dict[str, str]:
    """Caption of each figure: what is drawn, of how many users, and what the intervals mean."""
    control, reference = baselines(results)
    users = _users(results)
    uci = next((curve["vs"] for curve in results["uci"].values()), reference)
    conditional = "Intervals are over users and conditional on this one simulated world."
    return {
        "figure_3": "How many of all pairs of clusters have each label as their best, from the most to the least "
        "frequent label; a curve ends where labels never come first. Entropy as a share of what is possible.",
        "figure_4a": "Match rate (share of generated texts that are exactly a cluster's name) and recall of "
        "transitions under the trie (all labels scored, none generated) over fine-tuning steps: on samples, on pairs "
        "held out, and on days after the samples' where some were kept. A ring is where a curve peaks.",
        "figure_4b": f"Novel impressions against positive feedback on the agent's own slots, relative to {reference}. "
        f"Bars are 95% intervals. {users} {conditional}",
        "figure_4c": "UCI@N: assigned users with at least N distinct clusters consumed in the last "
        f"{TRAILING_DAYS} days, relative to {uci}. Bands hold for all N at once (95%, bootstrap of users). N is "
        f"shown where at least {MIN_REFERENCE_USERS} users of {uci} reach it, the band where at least "
        f"{MIN_ARM_USERS} of the arm do. "
        f"{users} {conditional}",
        "figure_5": f"Watch time and active users on each day, relative to {control}. Bands hold for all days of a "
        f"curve at once (95%, sup-t). {users} {conditional}",
        "effects": "Mean of users' own differences in watch time, by third of what they differ in before the "
        f"experiment. Bars are 95% intervals. {users} {conditional}",
        "harm": "Share of users who watch much less, and much more, than in their life under the control; diamonds: "
        f"better less worse off, with 95% intervals. {users} {conditional}",
        "sequential": "The primary metrics over all days so far, as one would watch them in a running experiment. "
        "Intervals are always valid (95%): with no difference, the chance that one leaves zero out on any day at all "
        f"is 5% or less, however often one looks. {users} {conditional}",
    }


def _content(results: Results, timings: dict[str, float], figures: dict[str, Figure]) -> dict[str, Any]:
    """Everything that the template shows, as strings and lists of strings."""
    llm = results.get("llm") or {}
    own = {draw.__name__: draw for draw in (figure_3, figure_4a) if missing(results, draw.__name__) is None}
    figures = {name: draw(results) for name, draw in own.items() if name not in figures} | figures
    named = sorted({*figures, *_EXPECTED})
    config, arms = results["config"], list(results["arms"])
    effects = results.get("effects")
    return {
        "title": "A/B comparison of " + (f"{len(arms)} arms" if len(arms) > CROWD else listed(arms)),
        "setting": _users(results),
        "diversion": _diversion(results),
        "summary": summary(results),
        "drawn": [_figure(results, name, figures) for name in named if name not in _OF_THE_LLM + _OF_EFFECTS],
        "effects": effects_section(results),
        "effect_figures": [_figure(results, name, figures) for name in _OF_EFFECTS if name in figures],
        "effect_arms": _heads(results, effects["arms"] if effects else ()),
        "llm_figures": [_figure(results, name, figures) for name in named if name in _OF_THE_LLM],
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
        "llm_other": entry_rows({key: value for key, value in llm.items() if key not in _SHOWN_APART}),
        "costs": entry_rows(results["costs"]),
        "timings": [(stage, f"{seconds:,.1f}") for stage, seconds in timings.items()],
        "total": f"{sum(timings.values()):,.1f}",
        "metrics": METRICS,
        "rarefied": RAREFIED_WATCHES,
    }


def _heads(results: Results, arms: Collection[str]) -> list[dict[str, Any]]:
    """Of these arms, in the order of the results, with the colour of each."""
    styles = arm_styles(results)
    return [{"title": name, "color": styles[name]["color"]} for name in results["arms"] if name in arms]


def _figure(results: Results, name: str, figures: dict[str, Figure]) -> dict[str, Any]:
    reason = missing(results, name)
    figure = figures.get(name) if reason is None else None
    return figure_entry(name, captions(results).get(name, ""), figure, reason or "it was not drawn")


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


def _estimate(found: Estimate, metric: Metric) -> dict[str, Any]:
    factor, unit = (100.0, "%") if metric.unit == "share" else (1.0, "")
    style = f".{_decimals(ends(found), factor)}f"
    value = number(found["value"], style, factor, unit)
    return cell(value, between(found["low"], found["high"], style, factor))


def _lift_row(results: Results, metric: Metric) -> dict[str, Any]:
    row = [of_arm[metric.name] for of_arm in results["lifts"].values()]
    few = bool(too_few(results))
    vs = next((lift["vs"] for lift in row if lift["vs"]), UNKNOWN)
    cells = [_lift_cell(lift, few) for lift in row]
    return {"title": metric.title, "unit": f"against {vs}", "cells": cells, "strong": metric.name in PRIMARY}


def _lift_cell(lift: LiftRow, few: bool) -> dict[str, Any]:
    relative, low, high, adjusted = *ends(lift), lift["p_adjusted"]
    if relative is None:
        return cell(UNKNOWN)
    alone = low is not None and high is not None and (low > 0 or high < 0)
    told = alone and significant(adjusted) and not few
    mark = _MARKS[relative > 0][told] if alone else ""
    value, _, interval = _lift(lift).partition(_SPACE)
    p = "" if lift["p"] is None or adjusted is None else f"{_p(lift['p'])}, adjusted {_p(adjusted)[2:]}"
    plain = lift.get("unadjusted")
    return cell(f"{mark} {value}", interval, p, "" if plain is None else f"without CUPED {_lift(plain)}", sure=told)


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _lift(lift: PlainLift) -> str:
    """A lift in percent with its interval, such as ``+4.3% [+1.0, +7.6]``."""
    return estimate(lift, f"+.{_decimals(ends(lift), 100.0)}f", 100.0, "%").replace(" ", _SPACE)


def _decimals(found: tuple[float | None, float | None, float | None], factor: float = 1.0) -> int:
    """Decimals that show two digits of the interval's half-width, or three of a lone value."""
    value, low, high = (None if each is None else factor * each for each in found)
    size = (high - low) / 2 if low is not None and high is not None and high > low else abs(value or 0.0) / 10
    return max(0, min(3, 1 - math.floor(math.log10(size or 1.0))))


def _skew(results: Results) -> dict[str, list[Any]]:
    """The skew of each table's labels, a row a table."""
    skews: Any = {name: table["label_skew"] for name, table in tables(results).items()}
    skews = skews or results.get("llm", {}).get("label_skew") or {}
    if skews and not all(isinstance(value, dict) for value in skews.values()):
        skews = {"": skews}
    return record_table([{"": name.replace("_", " "), **skew} for name, skew in skews.items()])
