"""``knowledge.md``, ``knowledge.html`` and the figure: results in sentences, tables and dots."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.inference.multiplicity import holm
from experiments.knowledge.contestants import CONTESTANTS, LLM
from experiments.knowledge.measures import MEASURES
from experiments.knowledge.outcome import CHANCE, IDEAL, NO_DIFFERENCE, SAME_MODEL, verdict
from experiments.knowledge.schema import KnowledgeResults, WorldRow
from experiments.measures.significance import p_behind, significant
from experiments.reporting.figures.axes import NARROW, ZERO, dot, legend_below, named_rows, panels, styled
from experiments.reporting.html import write_results
from experiments.reporting.text import estimate, markdown, record_table
from experiments.reporting.words import worded
from experiments.results_schema import Estimate

_MAIN = "auc"
_TITLES = {"auc": "AUC", **{name: name for name in MEASURES[1:]}}
_WELL_TRAINED = 0.9  # match rate from which a twin counts as having learned the language
_COLOURS = ("#0072B2", "#9a9a9a", "#D55E00", "#009E73")
_DEFINITIONS = [
    ("persona", "A type of user with interests that go together. Personas are held out by turns, in folds."),
    ("question", "Two interests of a held-out persona; asked for are the persona's other interests."),
    ("contestant", "A model or rule that ranks the labels for each question."),
    ("alpha", "How far clusters agree with interests: at 1 labels tell the truth, at 0 they are permuted."),
    ("twin", "The same network from random weights (llm_random_weights), fine-tuned by its own schedule."),
    ("AUC", "Probability that a label to be found is ranked before another; .5 is chance."),
    ("recall@k", "Labels to be found among the k ranked first, divided by the most that there could be."),
    (
        "affinity@k",
        "How typical of the persona the k labels ranked first are: mean weight, 0 for labels that are not its.",
    ),
    ("95% interval", "Over personas, each quantity by itself."),
    ("match rate", "Share of generated texts that are exactly a label."),
]
"""Of terms on the page."""

_MEANING = {
    **CONTESTANTS,
    CHANCE: "scores without any knowledge: exact",
    IDEAL: "scores that are the personas' own weights: the best possible",
    SAME_MODEL: "the fine-tuned language model on the same questions in the first other world",
}


_RIVALS = (CHANCE, "llm_random_weights", "llm_zero_shot", "text_neighbour", "svd")
"""Contestants that the findings compare the fine-tuned language model with."""


def findings(worlds: dict[str, WorldRow]) -> list[str]:
    """What the test says, in sentences: computed, whatever they say.

    A difference counts as detected where its p-value, adjusted by Holm's method over all of these comparisons in all
    worlds, is below .05.
    """
    lines = []
    adjusted = _adjusted(worlds)
    for alpha, world in worlds.items():
        llm = world["contestants"][LLM][_MAIN]
        lines.append(f"alpha={alpha}: the fine-tuned language model has an AUC of {_shown(llm)}; chance is .5.")
        for rival in _RIVALS:
            gap = world["differences"][rival][_MAIN]
            said = _verdict(gap, adjusted[alpha, rival])
            lines.append(f"alpha={alpha}: {said} against {rival}: {_shown(gap, signed=True)}.")
        lines += [f"alpha={alpha}: {line}" for line in _doubts(world)]
    if "0" in worlds:
        gap = worlds["0"]["differences"]["llm_random_weights"][_MAIN]
        said = _verdict(gap, adjusted["0", "llm_random_weights"])
        gone = "as it must be" if said.startswith(NO_DIFFERENCE) else "which must not be: look for a leak"
        edge = f"{_shown(gap, signed=True)} ({said.rstrip(',')})"
        lines.append(f"Control: with labels permuted, the edge over the twin is {edge}, {gone}.")
    return lines


def _adjusted(worlds: dict[str, WorldRow]) -> dict[tuple[str, str], float | None]:
    """(alpha, rival) -> Holm's adjusted p-value, over all."""
    p = {
        (alpha, rival): p_behind(world["differences"][rival][_MAIN])
        for alpha, world in worlds.items()
        for rival in _RIVALS
    }
    return dict(zip(p, holm(list(p.values())), strict=True))


def _verdict(gap: Estimate, p_adjusted: float | None) -> str:
    """``verdict`` after adjustment; a difference that is the same for every persona has no p-value to adjust."""
    alone = verdict(gap)
    if alone == NO_DIFFERENCE or p_adjusted is None or significant(p_adjusted):
        return alone
    return f"{NO_DIFFERENCE} after adjustment, {alone} by its own interval alone,"


def _doubts(world: WorldRow) -> list[str]:
    """Where a fine-tuning did not go as it should."""
    doubts = []
    for run in world["training"]:
        who = f"{run['who']} in fold {run['fold']}"
        if run["match_rate"] is not None and run["match_rate"] < _WELL_TRAINED:
            doubts.append(
                f"caution, {who} was fine-tuned too little: match rate {run['match_rate']:.2f} at its best step"
                f" {run['best_step']} of {run['steps']}."
            )
    return doubts


def tables(results: KnowledgeResults) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, heads and rows of each table."""
    titled = []
    for alpha, world in results["worlds"].items():
        for title, part, signed in (
            (f"alpha = {alpha}", world["contestants"], False),
            (f"alpha = {alpha}: the fine-tuned language model less each other", world["differences"], True),
        ):
            rows = [[name, *(_shown(estimates[m], signed) for m in MEASURES)] for name, estimates in part.items()]
            titled.append((title, ["contestant", *_TITLES.values()], rows))
    return titled


def as_markdown(results: KnowledgeResults) -> str:
    """Findings and tables in Markdown."""
    parts = ["".join(f"- {line}\n" for line in results["findings"])]
    parts += [f"## {title}\n\n{markdown(heads, rows)}" for title, heads, rows in tables(results)]
    return "\n".join(parts)


def _shown(measured: Estimate, signed: bool = False) -> str:
    return estimate(measured, "+.3f" if signed else ".3f")


@styled
def knowledge_figure(results: KnowledgeResults, narrow: bool = False) -> Figure:
    """Contestants in rows, a panel a measure, a colour a world; dashed: chance. ``narrow``: panels below each other."""
    worlds = results["worlds"]
    height = 0.3 * len(CONTESTANTS)
    if narrow:
        figure, grid = panels(len(MEASURES), 1, 0.5 + (height + 0.5) * len(MEASURES), NARROW, sharey=True)
    else:
        figure, grid = panels(1, len(MEASURES), 1.2 + height, 8.4, sharey=True)
    for axes, name in zip(grid.flat, MEASURES, strict=True):
        for shift, ((alpha, world), colour) in enumerate(zip(worlds.items(), cycle(_COLOURS), strict=False)):
            contestants = world["contestants"]
            axes.axvline(contestants[CHANCE][name]["value"] or 0.0, **{**ZERO, "color": colour}, linestyle="--")
            for place, who in enumerate(CONTESTANTS):
                y = place + 0.22 * (shift - (len(worlds) - 1) / 2)
                label = f"alpha = {alpha}" if place == 0 else None
                dot(axes, y, contestants[who][name], colour, "o", 1.0, label=label)
        axes.set_title(_TITLES[name], fontsize=8)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    named_rows(grid[0, 0], list(CONTESTANTS))
    legend_below(figure, grid[0, 0], len(worlds), fontsize=8)
    return figure


def write_knowledge(results: KnowledgeResults, folder: Path) -> Path:
    """Write knowledge.md, the figure and the self-contained page into ``folder``; the path of the page."""
    worlds = results["worlds"].items()
    shown = {name for _, world in worlds for part in (world["contestants"], world["differences"]) for name in part}
    content = {
        "findings": results["findings"],
        "tables": tables(results),
        "contestants": [(name, meaning) for name, meaning in _MEANING.items() if name in shown],
        "folds": _records([(alpha, row) for alpha, of in worlds for row in of["facts"]["folds"]], ".1f"),
        "training": _records([(alpha, row) for alpha, of in worlds for row in of["training"]], ".3f"),
        "definitions": _DEFINITIONS,
    }
    figures, narrow = ({"knowledge": knowledge_figure(results, phone)} for phone in (False, True))
    return write_results(folder, "knowledge", content, figures, as_markdown(results), narrow)


def _records(rows: Sequence[tuple[str, Mapping[str, Any]]], style: str) -> dict[str, list[Any]]:
    """A table of records, each of the world of an alpha, under words."""
    return record_table([{"alpha": alpha, **worded(row)} for alpha, row in rows], style)
