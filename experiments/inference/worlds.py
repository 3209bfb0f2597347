"""Inference over worlds: each world's estimate, with its own error, as one draw of a random effect.

The world is the unit: users of one world share its catalog, its trends and the models that each arm
trained, so that more users make one world's answer exact and say nothing of the next world's.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from experiments.inference.users import interval_of, reach_of, two_sided
from experiments.results_schema import OverWorldsRow
from sim.errors import InvalidInput

LEAST_WORLDS, ENOUGH_WORLDS = 3, 5
"""Fewer worlds are too few to tell; and from so many on, intervals need no word of their own (chosen)."""


@dataclass(frozen=True)
class OverWorlds:
    """The mean over worlds with its 95 % interval; ``None`` where there is none.

    Attributes:
        mean, low, high: the mean and its interval.
        p: two-sided, against a mean of 0.
        tau: standard deviation of the true value from world to world, in the value's unit; ``None``
            where no world's own error is known.
        i_squared: share of the values' spread that is more than users' chance, 0 to 1; ``None`` likewise.
        by_world: (W,) each world's value.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    tau: float | None
    i_squared: float | None
    by_world: tuple[float | None, ...]

    def row(self) -> OverWorldsRow:
        """The same as results have it."""
        row: OverWorldsRow = {**asdict(self), "by_world": list(self.by_world)}  # type: ignore[typeddict-item]
        return row


def over_worlds(values: Sequence[float | None], errors: Sequence[float | None] | None = None) -> OverWorlds:
    """Mean over W worlds: random effects where each world's standard error is known, else a t interval.

    The model is y_w = mu + u_w + e_w, u_w ~ (0, tau^2) from world to world and e_w ~ (0, s_w^2) from
    users' chance within one. With weights v_w = 1 / s_w^2 and the fixed-effect mean y0 = sum v y / sum v,

        Q = sum v (y - y0)^2,   tau^2 = max(0, (Q - (W - 1)) / (sum v - sum v^2 / sum v)),
        I^2 = max(0, 1 - (W - 1) / Q)

    (DerSimonian and Laird 1986, "Meta-analysis in clinical trials"; Higgins and Thompson 2002). Then,
    with w = 1 / (s_w^2 + tau^2),

        mu = sum w y / sum w,   mu +- t(0.975, W - 1) sqrt(sum w (y - mu)^2 / ((W - 1) sum w))

    (Hartung and Knapp 2001, "A refined method for the meta-analysis of controlled clinical trials",
    which allows for tau being estimated). Where all errors are equal, and where they are not known
    (all w = 1), this is mean +- t s / sqrt(W) with s the standard deviation over worlds. With three
    worlds t is 4.3: the interval is honest about how little three worlds say.

    Args:
        values: one a world. No mean is given where a world has none.
        errors: the standard error of each value within its world, from users; used only where all
            are known and positive.

    Raises:
        InvalidInput: other than one error a value, or a negative one.
    """
    if errors is not None and len(errors) != len(values):
        raise InvalidInput("len(errors)", len(errors), f"must be {len(values)}, one a value")
    if errors is not None and any(error is not None and not error >= 0 for error in errors):
        raise InvalidInput("errors", list(errors), "must not be negative")
    by_world = tuple(values)
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return OverWorlds(None, None, None, None, None, None, by_world)
    y = np.asarray(known, dtype=np.float64)
    weights, tau, i_squared = np.ones(len(y)), None, None
    if errors is not None and len(y) > 1 and all(errors):
        variance = np.asarray(errors, dtype=np.float64) ** 2  # (W,)
        tau, i_squared = _heterogeneity(y, variance)
        weights = 1.0 / (variance + tau**2)
    mean = float(weights @ y / weights.sum())
    if len(y) < 2:
        return OverWorlds(mean, None, None, None, None, None, by_world)
    error = math.sqrt(float(weights @ (y - mean) ** 2 / ((len(y) - 1) * weights.sum())))
    p = two_sided(mean, error, len(y) - 1) if error > 0 else None
    return OverWorlds(mean, *interval_of(mean, error, len(y) - 1), p, tau, i_squared, by_world)


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high of n worlds, +- t(0.975, n - 1) s / sqrt(n); limits nan for fewer than two."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return mean, math.nan, math.nan
    reach = reach_of(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return mean, mean - reach, mean + reach


def _heterogeneity(y: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> tuple[float, float]:
    """``(tau, I^2)`` of (W,) values with their variances within worlds."""
    v = 1.0 / variance
    q = float(v @ (y - v @ y / v.sum()) ** 2)
    more = q - (len(y) - 1)
    if more <= 0:
        return 0.0, 0.0
    return math.sqrt(more / float(v.sum() - (v**2).sum() / v.sum())), more / q
