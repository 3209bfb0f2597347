"""``knowledge.md``, ``knowledge.html`` and the figure: results as sentences, tables and dots."""

from itertools import cycle
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.knowledge.contestants import CONTESTANTS, LLM
from experiments.knowledge.measures import MEASURES
from experiments.knowledge.outcome import CHANCE, IDEAL, SAME_MODEL, verdict
from experiments.knowledge.schema import KnowledgeResults, WorldRow
from experiments.reporting.figures.axes import ZERO, dot, legend_below, named_rows, panels, styled
from experiments.reporting.html import write_found
from experiments.reporting.text import estimate, markdown, record_table
from experiments.results_schema import Estimate

_MAIN = "auc"
_WELL_TRAINED = 0.9  # match rate from which a twin counts as having learned the language
_COLOURS = ("#0072B2", "#9a9a9a", "#D55E00", "#009E73")
_MEANING = {
    **CONTESTANTS,
    CHANCE: "whoever knows nothing: exact",
    IDEAL: "whoever knows the personas: the best possible",
    SAME_MODEL: "the fine-tuned language model on the same questions in the first other world",
}


def findings(worlds: dict[str, WorldRow]) -> list[str]:
    """What the test says, in sentences: computed, whatever they say."""
    lines = []
    for alpha, world in worlds.items():
        llm = world["contestants"][LLM][_MAIN]
        lines.append(f"alpha={alpha}: the fine-tuned language model has an AUC of {_shown(llm)}; chance is .5.")
        for rival in (CHANCE, "llm_random_weights", "llm_zero_shot", "text_neighbour", "svd"):
            gap = world["differences"][rival][_MAIN]
            lines.append(f"alpha={alpha}: {verdict(gap)} against {rival}: {_shown(gap, signed=True)}.")
        lines += [f"alpha={alpha}: {line}" for line in _doubts(world)]
    if "0" in worlds:
        gap = worlds["0"]["differences"]["llm_random_weights"][_MAIN]
        said = verdict(gap)
        judgement = "as it must be" if said == "no difference seen" else "which must not be: look for a leak"
        lines.append(
            f"Control: with labels permuted, the edge over the twin is {_shown(gap, signed=True)} ({said}), "
            f"{judgement}."
        )
    return lines


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
    named = []
    for alpha, world in results["worlds"].items():
        for title, part, signed in (
            (f"alpha = {alpha}", world["contestants"], False),
            (f"alpha = {alpha}: the fine-tuned language model less each other", world["differences"], True),
        ):
            rows = [[name, *(_shown(estimates[m], signed) for m in MEASURES)] for name, estimates in part.items()]
            named.append((title, ["contestant", *MEASURES], rows))
    return named


def as_markdown(results: KnowledgeResults) -> str:
    """Findings and tables in Markdown."""
    parts = ["".join(f"- {line}\n" for line in results["findings"])]
    parts += [f"## {title}\n\n{markdown(heads, rows)}" for title, heads, rows in tables(results)]
    return "\n".join(parts)


def _shown(value: Estimate, signed: bool = False) -> str:
    return estimate(value, "+.3f" if signed else ".3f")


@styled
def knowledge_figure(results: KnowledgeResults) -> Figure:
    """Contestants in rows, measures in columns, a colour a world; dashed: chance."""
    worlds = results["worlds"]
    figure, grid = panels(1, len(MEASURES), 1.2 + 0.3 * len(CONTESTANTS), 8.4, sharey=True)
    for axes, name in zip(grid[0], MEASURES, strict=True):
        for shift, ((alpha, world), colour) in enumerate(zip(worlds.items(), cycle(_COLOURS), strict=False)):
            contestants = world["contestants"]
            axes.axvline(contestants[CHANCE][name]["value"] or 0.0, **{**ZERO, "color": colour}, linestyle="--")
            for place, who in enumerate(CONTESTANTS):
                y = place + 0.22 * (shift - (len(worlds) - 1) / 2)
                label = f"alpha = {alpha}" if place == 0 else None
                dot(axes, y, contestants[who][name], colour, "o", 1.0, label=label)
        axes.set_title(name, fontsize=8)
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
        "folds": record_table([{"alpha": alpha, **row} for alpha, of in worlds for row in of["facts"]["folds"]], ".1f"),
        "training": record_table([{"alpha": alpha, **row} for alpha, of in worlds for row in of["training"]], ".3f"),
    }
    figures = {"knowledge": knowledge_figure(results)}
    return write_found(folder, "knowledge", content, figures, as_markdown(results))
