"""What divided experiments get wrong, after adjustment: adjusted p-values of biases, and sentences for the page."""

from typing import Any

from experiments.inference.multiplicity import holm
from experiments.inference.worlds import LEAST_WORLDS
from experiments.measures.metrics import TITLES
from experiments.measures.significance import significant
from experiments.reporting.text import estimate, listed


def diversions_of(by_arm: dict[str, Any]) -> list[str]:
    """The diversions that are compared with twins."""
    first = next(iter(next(iter(by_arm.values())).values()))
    return [name for name in first if name != "truth"]


def adjusted_biases(by_arm: dict[str, Any]) -> dict[tuple[str, str, str], float | None]:
    """(arm, metric, diversion) -> p-value of the bias, adjusted over all of them (Holm); None where there is none."""
    p = {
        (arm, metric, name): cells[name]["bias"]["p"]
        for arm, of_arm in by_arm.items()
        for metric, cells in of_arm.items()
        for name in diversions_of(by_arm)
    }
    return dict(zip(p, holm(list(p.values())), strict=True))


def summary(by_arm: dict[str, Any], num_worlds: int) -> list[str]:
    """For each diversion which biases hold after adjustment, and how often the intervals held the truth.

    Args:
        by_arm: as ``experiments.interference.command.biases`` returns it.
        num_worlds: with fewer than ``LEAST_WORLDS`` no bias counts as detected.
    """
    adjusted = adjusted_biases(by_arm)
    lines = []
    for name in diversions_of(by_arm):
        cells = {
            (arm, metric): of_metric[name] for arm, of_arm in by_arm.items() for metric, of_metric in of_arm.items()
        }
        known = [key for key, cell in cells.items() if cell["bias"]["mean"] is not None]
        biased = [key for key in known if significant(adjusted[*key, name])] if num_worlds >= LEAST_WORLDS else []
        shown = [
            f"{TITLES[metric]} under {arm} ({estimate(cells[arm, metric]['bias'], '+.1f', 100.0)})"
            for arm, metric in biased
        ]
        parts = []
        if num_worlds >= LEAST_WORLDS:
            which = f": {listed(shown)}" if shown else ""
            parts.append(f"a bias is detected in {len(biased) or 'none'} of {len(known)} estimates{which}")
        held, intervals = (sum(cell[key] for cell in cells.values()) for key in ("covered", "worlds"))
        parts.append(f"the 95% interval holds the truth in {held} of {intervals} cases")
        lines.append(f"{name.capitalize()}: {'; '.join(parts)}.")
    return lines
