"""The search: least squares over differences in standard errors, with few, expensive evaluations."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from sim.arrays import FloatArray

Differences = Callable[[list[FloatArray]], list[FloatArray]]
"""Takes points (p,), gives the differences (S, K) to the log of each one's S worlds, in standard errors."""

STEP = 1.0
"""Steps that a constant is moved by to see what follows: less would drown in the chance of a life."""

_TRIES = 6  # evaluations between two fresh Jacobians


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        x: (p,) steps from the start.
        differences: (K,) at x, the mean over worlds.
        jacobians: (S, K, p) of each world's differences at x.
        evaluations: points at which worlds were lived, those for ``jacobians`` included.
        spent: whether the budget ended it, rather than a round without a gain.
    """

    x: FloatArray
    differences: FloatArray
    jacobians: FloatArray
    evaluations: int
    spent: bool


@dataclass
class _Points:
    """Points tried so far, each once."""

    differences: Differences
    pull: float
    low: FloatArray
    high: FloatArray
    known: dict[bytes, FloatArray] = field(default_factory=dict)

    def worlds(self, points: list[FloatArray]) -> list[FloatArray]:
        """(S, K) of each point (p,)."""
        points = [np.round(x, 6) + 0.0 for x in points]  # a millionth of a step off an end is at it; no -0
        new = list({x.tobytes(): x for x in points if x.tobytes() not in self.known}.values())
        for x, difference in zip(new, self.differences(new) if new else [], strict=True):
            self.known[x.tobytes()] = difference
        return [self.known[x.tobytes()] for x in points]

    def at(self, x: FloatArray) -> FloatArray:
        """(K + p,) the mean over worlds, and each constant's weak pull to its start as one more difference."""
        return self._pulled(x, self.worlds([x])[0])

    def _pulled(self, x: FloatArray, differences: FloatArray) -> FloatArray:
        return np.concatenate([differences.mean(axis=0), x / self.pull])

    def jacobian(self, x: FloatArray) -> FloatArray:
        """(K + p, p) by one-sided differences of ``STEP``, away from the upper ends."""
        moves = np.where(x + STEP <= self.high, STEP, -STEP)
        points = [x, *(x + move * unit for move, unit in zip(moves, np.eye(len(x)), strict=True))]
        here, *there = [
            self._pulled(at, differences) for at, differences in zip(points, self.worlds(points), strict=True)
        ]
        return np.stack([(moved - here) / move for moved, move in zip(there, moves, strict=True)], axis=1)

    def jacobians(self, x: FloatArray) -> FloatArray:
        """(S, K, p) by differences between ``STEP`` below and above, or the ends of the range."""
        above, below = np.minimum(x + STEP, self.high), np.maximum(x - STEP, self.low)
        ends = [np.where(np.arange(len(x)) == k, end, x) for end in (above, below) for k in range(len(x))]
        differences = np.stack(self.worlds(ends))  # (2 p, S, K)
        slopes = (differences[: len(x)] - differences[len(x) :]) / (above - below)[:, None, None]
        return np.asarray(slopes.transpose(1, 2, 0))


def least_evaluations(num_constants: int) -> int:
    """The smallest budget: the start, a Jacobian, a step, and both sides of every constant where it leads."""
    return 2 + 3 * num_constants


def search(
    differences: Differences, low: FloatArray, high: FloatArray, pull: float, budget: int, tolerance: float
) -> SearchResult:
    """Minimise the sum of squared differences, and of squares of x / ``pull``, over low <= x <= high.

    Rounds of trust-region least squares (Branch, Coleman and Li 1999; ``scipy``'s "trf"), whose steps grow shorter
    towards the ends. A round begins with a Jacobian by differences, p evaluations, and goes on with Broyden's update
    of it (1965, "A class of methods for solving nonlinear simultaneous equations"), none:

        J <- J + (dr - J dx) dx' / (dx' dx).

    A search that uses the parts of a sum of squares needs far fewer evaluations than one that uses the sum alone.
    Rounds end when one gains less than a share ``tolerance`` of the sum, or the budget would not pay for another.

    Args:
        differences: see ``Differences``.
        low, high: (p,) ends of the range; 0, the start, lies within.
        pull: steps at which a constant's own square is 1: what nothing tells stays where it was.
        budget: points at most, at least ``least_evaluations``; those of the last Jacobians are counted in.
        tolerance: a share.
    """
    points = _Points(differences, pull, low, high)
    num = len(low)
    x: FloatArray = np.zeros(num, np.float64)
    loss, spent = float((points.at(x) ** 2).sum()), True
    while len(points.known) + 3 * num + 1 <= budget:
        x = _round(points, x, min(budget - len(points.known) - 3 * num, _TRIES))
        before, loss = loss, float((points.at(x) ** 2).sum())
        if before - loss < tolerance * before:
            spent = False
            break
    jacobians = points.jacobians(x)
    return SearchResult(x, points.worlds([x])[0].mean(axis=0), jacobians, len(points.known), spent)


def _round(points: _Points, x: FloatArray, tries: int) -> FloatArray:
    """One round of ``search`` from x (p,): its best point (p,)."""
    last = {"x": x, "differences": points.at(x), "jacobian": points.jacobian(x)}

    def broyden(at: FloatArray) -> FloatArray:
        moved = at - last["x"]
        if moved @ moved > 0:
            now = points.at(at)
            miss = now - last["differences"] - last["jacobian"] @ moved
            last["jacobian"] = last["jacobian"] + np.outer(miss, moved) / (moved @ moved)
            last["x"], last["differences"] = at.copy(), now
        return last["jacobian"]

    fitted = least_squares(
        points.at,
        x,
        broyden,
        bounds=(points.low, points.high),
        max_nfev=tries + 1,  # the start is known
        xtol=0.02,
        ftol=1e-3,
        gtol=None,
    )
    return np.asarray(np.round(fitted.x, 6), np.float64)
