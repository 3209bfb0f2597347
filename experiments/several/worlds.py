"""One variant's results in several worlds, arranged for inference over worlds.

The world is the unit: users of one world share its catalog, its trends and the models that each arm trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.inference.worlds import OverWorlds, over_worlds
from experiments.measures.across_worlds import read_results
from experiments.measures.metrics import METRICS
from experiments.results_schema import Estimate, MetricName, Results, VariantSummary
from experiments.several.bands import Curve, curve_over_worlds
from experiments.several.plan import Comparison

Keys = tuple[str, ...]


def estimate(values: Sequence[float | None]) -> OverWorlds:
    """A quantity's mean over worlds with its 95 % interval: all claims' inference goes through here.

    Every world weighs the same. Errors within worlds are not used: a difference of two arms neither of
    which is the control has none in the results, and claims compare such differences.

    Args:
        values: one a world.
    """
    return over_worlds(values)


def share(value: float) -> OverWorlds:
    """A quantity of all worlds together, which has no interval over worlds."""
    return OverWorlds(value, None, None, p=None, tau=None, i_squared=None, by_world=())


@dataclass(frozen=True)
class Worlds:
    """Results of a variant's comparisons, a ``results.json`` a world.

    Attributes:
        seeds: of the W worlds.
        each: their results, in the same order.
        folders: of the comparisons, likewise.
    """

    seeds: tuple[int, ...]
    each: tuple[Results, ...]
    folders: tuple[Path, ...]

    @property
    def arms(self) -> list[str]:
        """The arms, in the order of the config."""
        return list(self.each[0]["arms"])

    @property
    def num_clusters(self) -> int:
        """M, level-2 clusters."""
        return int(self.each[0]["config"]["world"]["clusters"]["level_2"])

    def has(self, *arms: str) -> bool:
        """Whether all of these arms were run."""
        return set(arms) <= set(self.arms)

    def value(self, arm: str, metric: MetricName) -> OverWorlds:
        """A metric over worlds."""
        return estimate([results["arms"][arm][metric]["value"] for results in self.each])

    def against(self, arm: str, other: str, metric: MetricName) -> OverWorlds:
        """The relative difference of an arm to another, value / value - 1 world by world, over worlds."""
        arms = [results["arms"] for results in self.each]
        return estimate([_relative(of_world[arm][metric], of_world[other][metric]) for of_world in arms])

    def difference_to_variant(self, other: "Worlds", arm: str, metric: MetricName) -> OverWorlds:
        """An arm's relative difference to itself in another variant, over the worlds that both have."""
        elsewhere = dict(zip(other.seeds, other.each, strict=True))
        return estimate(
            [
                _relative(results["arms"][arm][metric], elsewhere[seed]["arms"][arm][metric])
                for seed, results in zip(self.seeds, self.each, strict=True)
                if seed in elsewhere
            ]
        )

    def number(self, *path: str) -> OverWorlds:
        """A number in the results, such as ``("llm_arms", "llm", "label_skew", "gini")``, over worlds."""
        return estimate([value_at(results, path) for results in self.each])

    def uci(self, arm: str) -> Curve | None:
        """Lift in users with at least N clusters against the reference (figure 4c), at every N that all worlds show."""
        curves = [results["uci"].get(arm) for results in self.each]
        if not all(curves):
            return None
        lifts = [dict(zip(curve["n"], curve["lift"], strict=True)) for curve in curves if curve]
        shown = [n for n in lifts[0] if all(of_world.get(n) is not None for of_world in lifts)]
        return curve_over_worlds(shown, [[of_world[n] for n in shown] for of_world in lifts])

    def daily(self, arm: str, series: str) -> Curve | None:
        """Each day's lift against the control (figure 5)."""
        rows = [value_at(results, ("daily", "arms", arm, series, "relative")) for results in self.each]
        if any(row is None or None in row for row in rows):
            return None
        return curve_over_worlds(self.each[0]["daily"]["day"], rows)

    def slope(self, arm: str, series: str) -> OverWorlds:
        """The least-squares slope of the daily lift, a day, over worlds."""
        curve = self.daily(arm, series)
        if curve is None or len(curve.x) < 2:
            return estimate([None])
        return estimate([float(np.polyfit(curve.x, row, 1)[0]) for row in curve.by_world])

    def tuning(self, *path: str, arm: str = "llm") -> Curve | None:
        """A quantity over fine-tuning steps (figure 4a), such as ``("held_out", "recall@10")``.

        None where worlds differ in their steps, or have one at most: a model as it comes has a point and no curve.
        """
        points = [value_at(results, ("llm_arms", arm, "curve")) or [] for results in self.each]
        steps = [[point["step"] for point in of_world] for of_world in points]
        rows = [[value_at(point, path) for point in of_world] for of_world in points]
        if len(steps[0]) < 2 or any(s != steps[0] for s in steps) or any(None in row for row in rows):
            return None
        return curve_over_worlds(steps[0], rows)

    def summary(self) -> VariantSummary:
        """Every arm's metrics over worlds, values and differences to the control, as ``results.json`` has them."""
        control = self.each[0]["config"]["experiment"]["control"]
        names = [metric.name for metric in METRICS]
        return {
            "seeds": list(self.seeds),
            "control": control,
            "arms": {arm: {name: self.value(arm, name).row() for name in names} for arm in self.arms},
            "lifts": {
                arm: {name: self.against(arm, control, name).row() for name in names}
                for arm in self.arms
                if arm != control and self.has(control)
            },
        }


Variants = dict[str, Worlds]
"""Every variant's results, by its name."""


def read_variants(comparisons: list[Comparison]) -> Variants:
    """The results of finished comparisons.

    Raises:
        InvalidInput: a folder holds none.
    """
    variants: Variants = {}
    for variant in dict.fromkeys(each.variant for each in comparisons):
        chosen = [each for each in comparisons if each.variant == variant]
        results = tuple(read_results(each.folder / "results.json") for each in chosen)
        variants[variant] = Worlds(tuple(each.seed for each in chosen), results, tuple(each.folder for each in chosen))
    return variants


def value_at(tree: Any, path: Keys) -> Any:
    """What is at a path of keys; ``None`` where there is nothing."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _relative(one: Estimate, other: Estimate) -> float | None:
    over, under = one["value"], other["value"]
    return None if over is None or not under else float(over / under - 1.0)
