"""Counts in which older occurrences weigh less."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from sim.arrays import FloatArray, IntArray

_FILE = "popular.safetensors"


class DiscountedCounts:
    """For each of n things the sum over its occurrences of 2^(-age / half-life).

    Args:
        half_life_days: after how many days an occurrence counts half.
    """

    def __init__(self, half_life_days: float) -> None:
        self._half_life = half_life_days
        self._day = 0  # on which ``_count`` holds
        self._count: FloatArray = np.zeros(0)

    @property
    def latest(self) -> FloatArray:
        """(n,) float64, the counts as of the last ``add``."""
        return self._count

    def on(self, day: int, num: int) -> FloatArray:
        """(num,) float64, the counts as of a day that is not before the last one; new things count 0."""
        count = np.zeros(num)
        count[: len(self._count)] = self._count * 0.5 ** ((day - self._day) / self._half_life)
        return count

    def add(self, today: int, num: int, thing: IntArray, day: IntArray) -> None:
        """Discount the past, and count occurrences (R,) of things (below ``num``) on days (R,)."""
        self._count, self._day = self.on(today, num), today
        np.add.at(self._count, thing, 0.5 ** ((today - day) / self._half_life))

    def save(self, folder: Path) -> None:
        """Write the counts and their day."""
        save_file({"popularity": self._count, "day": np.array([self._day])}, folder / _FILE)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote."""
        state = load_file(folder / _FILE)
        self._count, self._day = state["popularity"], int(state["day"][0])
