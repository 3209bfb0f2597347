"""The constants that are searched for, on scales on which a step has a similar effect for each."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from scipy.special import expit, logit

from experiments.fit.direct import constant_of
from sim.arrays import FloatArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.records import Different, Expected, Positive, checked, limits, real_numbers

SCALES = ("add", "factor", "logit")


@dataclass(frozen=True)
class Constant:
    """One constant, as a number x of steps from where it starts.

    With v0 the start: v = v0 + step x (``add``), v0 step^x (``factor``), sigmoid(logit(v0) + step x) (``logit``).

    Attributes:
        name: ``group.entry`` of the world's config.
        scale: one of ``SCALES``.
        step: what makes a world that is noticeably another one (chosen).
        start: v0.
        low, high: the entry's limits in ``sim.hidden.config``.
    """

    name: str
    scale: str
    step: float
    start: float
    low: float
    high: float

    def value(self, x: float) -> float:
        """The constant at x steps, within its limits."""
        if self.scale == "add":
            unclipped = self.start + self.step * x
        elif self.scale == "factor":
            unclipped = self.start * self.step**x
        else:
            unclipped = float(expit(logit(self.start) + self.step * x))
        return min(max(unclipped, self.low), self.high)

    def steps(self, value: float) -> float:
        """How many steps from the start a value is; infinite at the end of a scale that never gets there."""
        if self.scale == "add":
            return (value - self.start) / self.step
        if self.scale == "factor":
            return math.log(value / self.start) / math.log(self.step) if value > 0 else -math.inf
        return float((logit(value) - logit(self.start)) / self.step)

    def reach(self, most: float) -> tuple[float, float]:
        """The range of x that is searched: ``most`` steps either way, within the limits."""
        high = (
            math.inf
            if self.high == math.inf
            else self.steps(min(self.high, 1.0) if self.scale == "logit" else self.high)
        )
        return max(-most, self.steps(self.low)), min(most, high)


_ONLY = Annotated[
    tuple[str, ...],
    MinLen(1),
    Different,
    Expected("must be a list of different names such as [response.intercept], or null"),
]


def check_constants(mapping: Any, only: Any, world: WorldConfig) -> tuple[Constant, ...]:
    """Build the constants from ``fit.constants``, ``{"response": {"intercept": {"add": 0.5}}}``, starting at ``world``.

    ``only`` is ``fit.only``, a list of names such as ``response.intercept``; None for all.

    Raises:
        InvalidInput: a name that is none of them, an unknown entry or scale, a step that is none, or a start from
            which the scale leads nowhere.
    """
    expected = "must name constants to search for by group and entry, such as {response: {intercept: {add: 0.5}}}"
    if not isinstance(mapping, Mapping):
        raise InvalidInput("fit.constants", mapping, expected)
    constants = []
    for group, entries in mapping.items():
        if not isinstance(entries, Mapping):
            raise InvalidInput(f"fit.constants.{group}", entries, expected)
        constants += [_constant(str(group), str(name), entry, world) for name, entry in entries.items()]
    if not constants:
        raise InvalidInput("fit.constants", dict(mapping), expected)
    if only is None:
        return tuple(constants)
    known = {each.name: each for each in constants}
    for name in checked(_ONLY, only, "fit.only"):
        if name not in known:
            raise InvalidInput("fit.only", name, f"must be one of fit.constants: {', '.join(known)}")
    return tuple(known[name] for name in only)


def _constant(group: str, name: str, entry: Any, world: WorldConfig) -> Constant:
    where = f"fit.constants.{group}.{name}"
    record = getattr(world, group, None)
    known = real_numbers(type(record)) if dataclasses.is_dataclass(record) else {}
    if name not in known:
        raise InvalidInput(where, entry, "is no number of the world; one is response.intercept")
    if not isinstance(entry, Mapping) or len(entry) != 1 or next(iter(entry)) not in SCALES:
        raise InvalidInput(where, entry, f"must be one of {', '.join(SCALES)} with its step, such as {{add: 0.5}}")
    scale, step = next(iter(entry.items()))
    step = checked(Annotated[float, limits(above=1, below=math.inf)] if scale == "factor" else Positive, step, where)
    start, (low, high) = constant_of(world, f"{group}.{name}"), known[name]
    if (scale == "factor" and start <= 0) or (scale == "logit" and not 0 < start < 1):
        expected = "above 0" if scale == "factor" else "between 0 and 1"
        raise InvalidInput(f"world.{group}.{name}", start, f"must be {expected} to be searched by {scale}")
    return Constant(f"{group}.{name}", scale, step, start, low, high)


def values_at(constants: tuple[Constant, ...], x: FloatArray) -> dict[str, float]:
    """The constants' values at steps (p,), rounded to six digits so that a file can hold them."""
    return {c.name: float(f"{c.value(float(at)):.6g}") for c, at in zip(constants, x, strict=True)}


def bounds_of(constants: tuple[Constant, ...], most: float) -> tuple[FloatArray, FloatArray]:
    """Ends (p,) and (p,) of the searched ranges."""
    ends = np.array([c.reach(most) for c in constants], np.float64)
    return ends[:, 0], ends[:, 1]
