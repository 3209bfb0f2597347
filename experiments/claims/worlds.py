"""One variant's results in several worlds, arranged for inference over worlds."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from experiments.across_worlds import OverWorlds, over_worlds
from experiments.inference.users import LEVEL
from sim.arrays import FloatArray


@dataclass(frozen=True)
class Curve:
    """Means over worlds at several places x, with bounds; tuples of equal length.

    Attributes:
        x: places.
        mean, low, high: a fraction each.
        by_world: the same curve in each world.
    """

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    by_world: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Worlds:
    """What a variant's comparisons found, a ``results.json`` a world.

    Attributes:
        seeds: of the worlds.
        each: their results, in the same order.
    """

    seeds: tuple[int, ...]
    each: tuple[dict[str, Any], ...]

    @property
    def arms(self) -> list[str]:
        """The arms, in the order of the config."""
        return list(self.each[0]["arms"])

    def has(self, *arms: str) -> bool:
        """Whether all of these arms were run."""
        return set(arms) <= set(self.arms)

    def value(self, arm: str, metric: str) -> OverWorlds:
        """A metric's mean over worlds."""
        return over_worlds([results["arms"][arm][metric]["value"] for results in self.each])

    def against(self, arm: str, other: str, metric: str) -> OverWorlds:
        """Mean over worlds of the relative difference between two arms, value / value - 1, world by world."""
        return over_worlds([_relative(results["arms"], arm, other, metric) for results in self.each])

    def description(self, *path: str) -> OverWorlds:
        """Mean over worlds of a number in the results, such as ``("llm_arms", "llm", "label_skew", "gini")``."""
        return over_worlds([_found(results, path) for results in self.each])

    def uci(self, arm: str) -> Curve | None:
        """Lift in users with at least N clusters against the reference, at every N that all worlds show (figure 4c).

        Bounds hold for all N at once: t intervals over worlds, each at level 1 - 0.05 / number of N (Bonferroni).
        """
        curves = [results["uci"].get(arm) for results in self.each]
        shown = min((len(curve["n"]) if curve else 0 for curve in curves), default=0)
        if shown == 0:
            return None
        rows = [curve["lift"][:shown] for curve in curves]
        return curve_over_worlds(curves[0]["n"][:shown], rows, shown)

    def daily(self, arm: str, series: str) -> Curve | None:
        """Each day's lift against the control (figure 5); t intervals over worlds, Bonferroni over days."""
        rows = [results["daily"]["arms"].get(arm, {}).get(series, {}).get("relative") for results in self.each]
        if not all(row and None not in row for row in rows):
            return None
        days = self.each[0]["daily"]["day"]
        return curve_over_worlds(days, rows, len(days))

    def tuning(self, *path: str, arm: str = "llm") -> Curve | None:
        """A quantity over fine-tuning steps (figure 4a), such as ``("held_out", "recall@10")``; each step by itself."""
        rows: list[list[float | None]] = []
        steps: list[list[float]] = []
        for results in self.each:
            curve = (results.get("llm_arms", {}).get(arm) or {}).get("curve") or []
            rows.append([_found(point, path) for point in curve])
            steps.append([point["step"] for point in curve])
        known = [[v for v in row if v is not None] for row in rows]
        if not steps[0] or any(s != steps[0] for s in steps) or any(len(row) < len(steps[0]) for row in known):
            return None
        return curve_over_worlds(steps[0], known, 1)

    def trend(self, arm: str, series: str) -> OverWorlds:
        """Mean over worlds of the least-squares slope of the daily lift, a day."""
        curve = self.daily(arm, series)
        if curve is None or len(curve.x) < 2:
            return over_worlds([None])
        return over_worlds([float(np.polyfit(curve.x, row, 1)[0]) for row in curve.by_world])


def curve_over_worlds(x: list[float], rows: list[list[float]], simultaneous: int) -> Curve:
    """Means of W curves with t intervals over worlds.

        mean +- t(1 - 0.05 / (2 k), W - 1) s / sqrt(W)

    Args:
        x: (P,) places.
        rows: (W, P) the curves, W at least 2.
        simultaneous: k, how many intervals are to hold at once.
    """
    values: FloatArray = np.asarray(rows, np.float64)  # (W, P)
    worlds = len(values)
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(worlds)
    reach = float(student.ppf(1 - (1 - LEVEL) / (2 * simultaneous), worlds - 1)) * spread

    def listed(a: FloatArray) -> tuple[float, ...]:
        return tuple(float(v) for v in a)

    by_world = tuple(listed(row) for row in values)
    return Curve(listed(np.asarray(x, np.float64)), listed(mean), listed(mean - reach), listed(mean + reach), by_world)


def _relative(arms: dict[str, Any], arm: str, other: str, metric: str) -> float | None:
    over, under = arms[arm][metric]["value"], arms[other][metric]["value"]
    return None if over is None or not under else float(over / under - 1.0)


def _found(tree: Any, path: tuple[str, ...]) -> float | None:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return None if tree is None else float(tree)
