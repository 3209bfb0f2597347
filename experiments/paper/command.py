"""``interestlab paper``: the paper's figures and claims over several worlds, with their controls."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.benchmark.llm_lookup import lookup_rows
from experiments.measures.results import plain
from experiments.paper.adjusted import adjusted_verdicts, claims_of
from experiments.paper.controls import controls, what_language_adds
from experiments.paper.figures import narrow_figures, paper_figures
from experiments.paper.page import write_paper_page
from experiments.paper.speed import Speed, speed_of
from experiments.reporting.figures.files import save_figures
from experiments.results_schema import ClaimRow, PaperResults
from experiments.several.cost import cost_lines
from experiments.several.plan import MAIN, Comparison, plan
from experiments.several.runs import alone_in, check_all, run_all
from experiments.several.worlds import Variants, read_variants
from experiments.study.described import described
from sim.files import write_json

_LOOKUPS = 200


def paper(config: DictConfig, folder: Path) -> Path:
    """Run what has not been run, and write report.html, results.json, timings.json and the figures into ``folder``.

    Returns:
        The path of report.html.

    Raises:
        InvalidInput: a setting is wrong, or weights are missing; before anything runs.
    """
    comparisons = plan(config, folder)
    check_all(comparisons)
    workers = int(config.runtime.workers)
    with alone_in(folder):
        print(cost_lines(comparisons, workers), flush=True)
        run_all(comparisons, workers, str(config.runtime.backend))
        return _write(comparisons, workers, folder)


def _write(comparisons: list[Comparison], workers: int, folder: Path) -> Path:
    """Results and page of finished comparisons."""
    variants = read_variants(comparisons)
    results = joined(variants, comparisons)
    level_2 = comparisons[0].study.world.clusters.level_2
    speed = speed_of(comparisons, lookup_rows(level_2, _LOOKUPS)[0], workers)
    figures = paper_figures(variants)
    write_json(folder / "results.json", results)
    write_json(folder / "timings.json", plain({"speed": speed.facts(), "comparisons": _seconds(comparisons)}))
    save_figures(figures, folder / "figures")
    claims = _with_speed(results["claims"], speed)
    adjusted = adjusted_verdicts(variants, results) | {row["id"]: row["verdict"] for row in claims if row["id"] == "C8"}
    return write_paper_page(results, claims, adjusted, (figures, narrow_figures(variants)), folder / "report.html")


def joined(variants: Variants, comparisons: list[Comparison]) -> PaperResults:
    """What ``results.json`` holds: claims, controls, what language adds, all arms over worlds; no durations."""
    claims = claims_of(variants)
    configs = {each.variant: each.config for each in reversed(comparisons)}
    results: PaperResults = {
        "seeds": list(variants[MAIN].seeds),
        "claims": [claim.row() for claim in claims],
        "controls": [control.row() for control in controls(variants)],
        "what_language_adds": [finding.row() for finding in what_language_adds(variants)],
        "variants": {name: worlds.summary() for name, worlds in variants.items()},
        "config": {name: _done(configs[name]) for name in variants},
    }
    rounded: PaperResults = plain(results)
    return rounded


def _done(config: dict[str, Any]) -> dict[str, Any]:
    """What was done, not where and how, in every world; of the agents, those in the arms."""
    done = described(config, [name for name in config["agents"] if name in config["experiment"]["arms"]], ["seed"])
    agents = done.pop("agents")
    return {**done, "agents": agents}


def _with_speed(claims: list[ClaimRow], speed: Speed) -> list[ClaimRow]:
    """The claims with the one about time as this machine has it."""
    return [plain(speed.claim().row()) if row["id"] == "C8" else row for row in claims]


def _seconds(comparisons: list[Comparison]) -> dict[str, Any]:
    return {
        each.name: json.loads((each.folder / "timings.json").read_text(encoding="utf-8"))["seconds"]
        for each in comparisons
    }


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {paper(config, folder).resolve()}")
