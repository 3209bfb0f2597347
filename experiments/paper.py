"""``interestlab paper``: the paper's figures and claims over several worlds, with their controls."""

import json
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from experiments.across_worlds import read_results
from experiments.benchmarks.llm_lookup import lookup_rows
from experiments.claims.controls import controls
from experiments.claims.criteria import LLM, Variants, claims, speed_claim
from experiments.claims.figures import paper_figures
from experiments.claims.page import write_paper_page
from experiments.claims.plan import MAIN, Comparison, ahead, plan
from experiments.claims.worlds import Worlds
from experiments.command import clear_errors, run_command
from experiments.compare import check_study, compare, described_config
from experiments.figures.files import save_figure
from experiments.llm_arms import find_all_weights, settings_by_arm
from experiments.results import plain
from sim.files import write_json

_LOOKUPS = 200


def paper(config: DictConfig, folder: Path) -> Path:
    """Run what has not been run, and write report.html, results.json, timings.json and figures into ``folder``.

    Returns:
        The path of report.html.

    Raises:
        InvalidInput: a setting is wrong, or weights are missing; before anything runs.
    """
    comparisons = plan(config, folder)
    for each in comparisons:
        study = check_study(each.config)
        find_all_weights(study, settings_by_arm(study, each.config))
    print(ahead(comparisons), flush=True)
    begun = time.monotonic()
    with tqdm(total=len(comparisons), desc="paper", unit="comparison", dynamic_ncols=True) as bar:
        for each in comparisons:
            bar.set_postfix_str(f"{each.variant}, world {each.seed}")
            if not each.is_done():
                compare(each.config, each.folder)
            bar.update()
    variants, first = read(comparisons), comparisons[0].config
    rows = [claim.row() for claim in claims(variants)]
    checks = [control.row() for control in controls(variants)]
    results = plain(
        {
            "config": {**described_config(first, check_study(first)), "paper": _settings(comparisons)},
            "seeds": list(variants[MAIN].seeds),
            "claims": rows,
            "controls": checks,
        }
    )
    speed = plain(speed_claim(*_speed(comparisons)).row())
    figures = paper_figures(variants)
    write_json(folder / "results.json", results)
    write_json(folder / "timings.json", {"seconds_of_this_run": round(time.monotonic() - begun, 1), "speed": speed})
    for name, figure in figures.items():
        save_figure(figure, folder / "figures", name)
    return write_paper_page(results, speed, variants, figures, folder / "report.html")


def read(comparisons: list[Comparison]) -> Variants:
    """The results of every variant, in the order of the worlds.

    Raises:
        InvalidInput: a folder holds no results.
    """
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for each in comparisons:
        found.setdefault(each.variant, []).append((each.seed, read_results(each.folder / "results.json")))
    return {
        variant: Worlds(tuple(seed for seed, _ in rows), tuple(results for _, results in rows))
        for variant, rows in found.items()
    }


def _settings(comparisons: list[Comparison]) -> dict[str, Any]:
    variants: dict[str, list[int]] = {}
    for each in comparisons:
        variants.setdefault(each.variant, []).append(each.seed)
    return {"seeds_of_variants": variants}


def _speed(comparisons: list[Comparison]) -> tuple[float | None, float]:
    """How fast this machine made and reads tables.

    Returns:
        Pairs a second of the main variant's tables, as their stages were timed when they were made; and
        milliseconds in which a table of as many clusters is asked for 1,000 users, median.
    """
    pairs = seconds = 0.0
    for each in comparisons:
        results = read_results(each.folder / "results.json")
        seconds_of = json.loads((each.folder / "timings.json").read_text(encoding="utf-8"))["seconds"]
        taken = seconds_of.get("table", seconds_of.get(f"table {LLM}"))
        if each.variant == MAIN and taken and LLM in results["costs"]:
            pairs += results["costs"][LLM]["pairs_computed"]
            seconds += taken
    lookup = lookup_rows(check_study(comparisons[0].config).world.clusters.level_2, _LOOKUPS)[0]["value"]
    return (pairs / seconds if seconds else None), float(lookup)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="paper")
def _task(config: DictConfig) -> None:
    with clear_errors("paper"):
        page = paper(config, Path(HydraConfig.get().runtime.output_dir))
        print(f"report: {page.resolve()}")


def main() -> None:
    """Entry point of the command."""
    run_command("paper", _task)


if __name__ == "__main__":
    main()
