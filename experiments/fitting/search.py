"""The search: least squares over differences in standard errors, by few and dear evaluations."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from sim.arrays import FloatArray

Differences = Callable[[list[FloatArray]], list[FloatArray]]
"""Takes steps (p,) of several worlds, gives each one's differences (K,) to the log, in standard errors."""

STEP = 0.5
"""Steps that constants are moved by to see what follows: well above what chance in a life moves."""

_TRIES = 6  # evaluations between two fresh Jacobians


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        x: (p,) steps from the start.
        differences: (K,) at x.
        jacobian: (K, p) of the differences at x.
        evaluations: worlds that were lived for it, those for ``jacobian`` included.
        spent: whether the budget ended it, rather than a round without a gain.
    """

    x: FloatArray
    differences: FloatArray
    jacobian: FloatArray
    evaluations: int
    spent: bool


@dataclass
class _Worlds:
    """Evaluations so far, each once, with a weak pull of each constant towards its start as one more difference."""

    differences: Differences
    pull: float
    known: dict[bytes, FloatArray] = field(default_factory=dict)

    def at(self, points: list[FloatArray]) -> list[FloatArray]:
        """(K + p,) of each point (p,)."""
        points = [np.round(x, 6) + 0.0 for x in points]  # a millionth of a step off an end is at it; no -0
        new = list({x.tobytes(): x for x in points if x.tobytes() not in self.known}.values())
        for x, found in zip(new, self.differences(new) if new else [], strict=True):
            self.known[x.tobytes()] = np.concatenate([found, x / self.pull])
        return [self.known[x.tobytes()] for x in points]

    def jacobian(self, x: FloatArray, high: FloatArray) -> FloatArray:
        """(K + p, p) by one-sided differences of ``STEP``, away from the upper ends (p,)."""
        moves = np.where(x + STEP <= high, STEP, -STEP)
        here, *there = self.at([x, *(x + move * unit for move, unit in zip(moves, np.eye(len(x)), strict=True))])
        return np.stack([(moved - here) / move for moved, move in zip(there, moves, strict=True)], axis=1)


def search(
    differences: Differences, low: FloatArray, high: FloatArray, pull: float, budget: int, tolerance: float
) -> Found:
    """Minimise the sum of squared differences, and of squares of x / ``pull``, over low <= x <= high.

    Rounds of trust-region least squares (Branch, Coleman and Li 1999, in ``scipy.optimize.least_squares``). A round
    begins with a Jacobian by differences, p evaluations, and goes on with Broyden's update of it (1965, "A class of
    methods for solving nonlinear simultaneous equations"), none:

        J <- J + (dr - J dx) dx' / (dx' dx).

    A search that knows the parts of a sum of squares needs far fewer evaluations than one that sees the sum alone.
    Rounds end when one gains less than a share ``tolerance`` of the sum, or the budget would not pay for another.

    Args:
        differences: see ``Differences``.
        low, high: (p,) ends of the range; 0, the start, lies within.
        pull: steps at which a constant's own square is 1: what nothing tells stays where it was.
        budget: evaluations at most, at least 2 p + 2: those of the last Jacobian are counted in.
        tolerance: a share.
    """
    worlds = _Worlds(differences, pull)
    num = len(low)
    x = np.zeros(num)
    current = worlds.at([x])[0]
    spent = True
    while len(worlds.known) + 2 * num + 1 <= budget:  # a Jacobian, a step, and a Jacobian where the step leads
        before = float(current @ current)
        tries = min(budget - len(worlds.known) - 2 * num, _TRIES)
        x = _round(worlds, x, low, high, tries)
        current = worlds.at([x])[0]
        if before - float(current @ current) < tolerance * before:
            spent = False
            break
    jacobian = worlds.jacobian(x, high)
    count = len(current) - num
    return Found(x, current[:count], jacobian[:count], len(worlds.known), spent)


def _round(worlds: _Worlds, x: FloatArray, low: FloatArray, high: FloatArray, tries: int) -> FloatArray:
    """One round of ``search`` from x (p,): the best point (p,) that it came to."""
    last = {"x": x, "r": worlds.at([x])[0], "jacobian": worlds.jacobian(x, high)}

    def broyden(at: FloatArray) -> FloatArray:
        moved = at - last["x"]
        if moved @ moved > 0:
            now = worlds.at([at])[0]
            miss = now - last["r"] - last["jacobian"] @ moved
            last["jacobian"] = last["jacobian"] + np.outer(miss, moved) / (moved @ moved)
            last["x"], last["r"] = at.copy(), now
        return last["jacobian"]

    found = least_squares(
        lambda at: worlds.at([at])[0],
        x,
        broyden,
        bounds=(low, high),
        max_nfev=tries + 1,  # the start is known
        xtol=0.02,
        ftol=1e-3,
        gtol=None,
    )
    return np.round(found.x, 6)
