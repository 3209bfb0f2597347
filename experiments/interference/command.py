"""``interestlab interference``: what experiments estimate under each diversion, against the true lifts in twins.

In a world whose every user can live twice, the lift that an arm really has is known: everybody under the
arm against everybody under the control, with common random numbers. What an experiment with divided users
reports for the same world is off by chance, which its interval allows for, and by interference, which it
does not. The mean over worlds separates the two: chance is zero in expectation, interference is not.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.inference.worlds import over_worlds
from experiments.interference.figure import interference_figure
from experiments.interference.summary import adjusted_biases, summary
from experiments.measures.metrics import TITLES
from experiments.measures.results import plain
from experiments.reporting import definitions
from experiments.reporting.html import write_results
from experiments.reporting.text import markdown, number, p_value, shown
from experiments.reporting.words import few_worlds
from experiments.results_schema import LiftRow, MetricName
from experiments.several.cost import cost_lines
from experiments.several.plan import Comparison, plan
from experiments.several.runs import alone_in, check_all, run_all
from experiments.several.worlds import Variants, read_variants
from experiments.study.protocol import DIVERSIONS
from sim.errors import InvalidInput
from sim.files import write_json

TRUTH = "twins"
"""The diversion whose lifts are the truth."""

COMPARED: tuple[MetricName, ...] = (
    "watch_minutes_per_user_day",
    "active_user_share",
    "positive_rate",
    "novel_impression_ratio",
    "discoveries_per_user",
)
"""Metrics of the whole feed, which every arm has."""


def biases(variants: Variants) -> dict[str, Any]:
    """The bias of each diversion's lifts.

    With L_dw the lift that diversion d reports in world w, [l_dw, h_dw] its interval, and T_w that of twins,

        bias_d = mean_w (L_dw - T_w),   rmse_d = sqrt(mean_w (L_dw - T_w)^2),
        coverage_d = share of worlds with l_dw <= T_w <= h_dw.

    Returns:
        ``{ARM: {METRIC: {"truth": OVER_WORLDS, DIVERSION: {"lift": OVER_WORLDS, "bias": OVER_WORLDS,
        "rmse", "covered", "worlds", "half_width"}}}}``, fields of ``inference.worlds.OverWorlds``; a lift of
        .1 is 10 %. ``half_width`` is that of a world's interval, the mean.
    """
    truth = variants[TRUTH]
    by_arm: dict[str, Any] = {}
    for arm in truth.each[0]["lifts"]:
        by_arm[arm] = {}
        for metric in COMPARED:
            of_worlds = [each["lifts"][arm][metric]["relative"] for each in truth.each]
            true = dict(zip(truth.seeds, of_worlds, strict=True))
            of_metric: dict[str, Any] = {"truth": asdict(over_worlds(list(true.values())))}
            for name, worlds in variants.items():
                if name != TRUTH:
                    lifts = [each["lifts"][arm][metric] for each in worlds.each]
                    of_metric[name] = _against(lifts, [true[seed] for seed in worlds.seeds])
            by_arm[arm][metric] = of_metric
    return dict(plain(by_arm))


def _against(lifts: list[LiftRow], truth: list[float | None]) -> dict[str, Any]:
    """One diversion's lifts, a world each, against the truth in the same worlds."""
    pairs = list(zip(lifts, truth, strict=True))
    off = [None if one["relative"] is None or true is None else one["relative"] - true for one, true in pairs]
    known = [each for each in off if each is not None]
    between = [
        (one["low"], true, one["high"])
        for one, true in pairs
        if true is not None and one["low"] is not None and one["high"] is not None
    ]
    return {
        "lift": asdict(over_worlds([lift["relative"] for lift in lifts])),
        "bias": asdict(over_worlds(off if len(known) == len(pairs) else [None])),
        "rmse": math.sqrt(sum(each**2 for each in known) / len(known)) if known else None,
        "covered": sum(low <= true <= high for low, true, high in between),
        "worlds": len(between),
        "half_width": sum(high - low for low, _, high in between) / (2 * len(between)) if between else None,
    }


def table(by_arm: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows, in percent: bias, adjusted p-value and coverage, by arm, metric and diversion."""
    heads = ["arm", "metric", "diversion", "truth (twins), %", "bias, points", "p (Holm)", "RMSE, points", "covered"]
    adjusted = adjusted_biases(by_arm)
    rows = []
    for arm, metric, name in adjusted:
        truth, cell = by_arm[arm][metric]["truth"], by_arm[arm][metric][name]
        row = [arm, TITLES[metric], name, shown(truth, signed=True), shown(cell["bias"], signed=True)]
        row += [p_value(adjusted[arm, metric, name]), number(cell["rmse"], ".1f", 100.0)]
        rows.append([*row, f"{cell['covered']} of {cell['worlds']}"])
    return heads, rows


def interference(config: DictConfig, folder: Path) -> Path:
    """Run what has not been run, and write interference.html, .json, .md and the figure into ``folder``.

    Returns:
        The path of interference.html.

    Raises:
        InvalidInput: a setting is wrong, or weights are missing; before anything runs.
    """
    comparisons = plan(config, folder, "interference", TRUTH)
    for each in comparisons:
        diversion = each.config["experiment"]["diversion"]
        if each.variant not in DIVERSIONS or diversion != each.variant:
            name = f"interference.variants.{each.variant}"
            raise InvalidInput(name, diversion, f"must be named as its experiment.diversion: {', '.join(DIVERSIONS)}")
    if len({each.variant for each in comparisons}) < 2:
        raise InvalidInput("interference.variants", TRUTH, "must have a diversion to hold against twins")
    check_all(comparisons)
    workers = int(config.runtime.workers)
    with alone_in(folder):
        print(cost_lines(comparisons, workers), flush=True)
        run_all(comparisons, workers, str(config.runtime.backend))
        return _write(comparisons, folder)


def _write(comparisons: list[Comparison], folder: Path) -> Path:
    """Write the results of finished comparisons."""
    variants = read_variants(comparisons)
    by_arm = biases(variants)
    seeds = list(variants[TRUTH].seeds)
    control = comparisons[0].config["experiment"]["control"]
    write_json(folder / "interference.json", {"seeds": seeds, "vs": control, "arms": by_arm})
    heads, rows = table(by_arm)
    content = {
        "seeds": ", ".join(map(str, seeds)),
        "num_worlds": len(seeds),
        "users": f"{comparisons[0].config['world']['num_users']:,}",
        "control": control,
        "summary": summary(by_arm, len(seeds)),
        "few": few_worlds(len(seeds)),
        "heads": heads,
        "rows": rows,
        "terms": definitions.terms("arm", "control", "world", "95% interval") + definitions.metrics(COMPARED),
    }
    figures, narrow = ({"interference": interference_figure(by_arm, phone)} for phone in (False, True))
    return write_results(folder, "interference", content, figures, markdown(heads, rows, names=3), narrow)


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {interference(config, folder).resolve()}")
