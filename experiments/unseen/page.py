"""``knowledge.md``, ``knowledge.html`` and the figure: what was found, in words, tables and dots."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.reporting.figures.axes import floats
from experiments.reporting.figures.files import STYLE, svg_source
from experiments.reporting.html import write_page
from experiments.results_schema import Estimate
from experiments.unseen.contestants import CONTESTANTS, LLM
from experiments.unseen.measures import MEASURES
from experiments.unseen.outcome import CHANCE, IDEAL, SAME_MODEL, verdict
from experiments.unseen.schema import KnowledgeResults, Table, WorldRow

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
        gone = "as it must be" if said == "no difference seen" else "which must not be: look for a leak"
        lines.append(
            f"Control: with labels permuted, the edge over the twin is {_shown(gap, signed=True)} ({said}), {gone}."
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
    found = []
    for alpha, world in results["worlds"].items():
        for title, part, signed in (
            (f"alpha = {alpha}", world["contestants"], False),
            (f"alpha = {alpha}: the fine-tuned language model less each other", world["differences"], True),
        ):
            rows = [[name, *(_shown(estimates[m], signed) for m in MEASURES)] for name, estimates in part.items()]
            found.append((title, ["contestant", *MEASURES], rows))
    return found


def markdown(results: KnowledgeResults) -> str:
    """Findings and tables in Markdown."""
    parts = ["\n".join(f"- {line}" for line in results["findings"])]
    for title, heads, rows in tables(results):
        lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _shown(estimate: Estimate, signed: bool = False) -> str:
    style = "+.3f" if signed else ".3f"
    if estimate["value"] is None:
        return "\N{EN DASH}"
    between = "" if estimate["low"] is None else f" [{estimate['low']:{style}}, {estimate['high']:{style}}]"
    return f"{estimate['value']:{style}}{between}".replace("-", "\N{MINUS SIGN}")


def knowledge_figure(results: KnowledgeResults) -> Figure:
    """Contestants in rows, measures in columns, a colour a world; dashed: chance."""
    worlds = results["worlds"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 1.2 + 0.3 * len(CONTESTANTS)), layout="constrained")
        panels = figure.subplots(1, len(MEASURES), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, MEASURES, strict=True):
            for place, (alpha, world) in enumerate(worlds.items()):
                shift = 0.22 * (place - (len(worlds) - 1) / 2)
                _dots(axes, world["contestants"], name, shift, _COLOURS[place % len(_COLOURS)], f"alpha = {alpha}")
            axes.set_title(name, fontsize=8)
            axes.tick_params(labelsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(3))
        panels[0].set_yticks(range(len(CONTESTANTS)), list(CONTESTANTS))
        panels[0].set_ylim(len(CONTESTANTS) - 0.5, -0.5)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(worlds), fontsize=8)
    return figure


def _dots(axes: Axes, contestants: Table, name: str, shift: float, colour: str, label: str) -> None:
    axes.axvline(contestants[CHANCE][name]["value"] or 0.0, color=colour, linewidth=0.9, linestyle="--", zorder=1)
    shown = [contestants[who][name] for who in CONTESTANTS]
    places = [place + shift for place in range(len(shown))]
    for place, estimate in zip(places, shown, strict=True):
        if estimate["low"] is not None and estimate["high"] is not None:
            axes.hlines(place, estimate["low"], estimate["high"], color=colour, linewidth=1.1, zorder=2)
    values = floats([estimate["value"] for estimate in shown])
    axes.plot(values, places, "o", color=colour, markersize=3.5, label=label, zorder=3)


def write_knowledge_page(results: KnowledgeResults, figure: Figure, path: Path) -> Path:
    """Write the self-contained page, first under a temporary name, then renamed."""
    shown = {
        name
        for world in results["worlds"].values()
        for part in (world["contestants"], world["differences"])
        for name in part
    }
    content = {
        "findings": results["findings"],
        "source": svg_source(figure),
        "tables": tables(results),
        "contestants": [(name, meaning) for name, meaning in _MEANING.items() if name in shown],
        "facts": [(alpha, world["facts"]) for alpha, world in results["worlds"].items()],
        "training": [(alpha, run) for alpha, world in results["worlds"].items() for run in world["training"]],
    }
    return write_page("knowledge.html.j2", content, path)
