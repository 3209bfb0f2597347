"""What chance among users does to every measure: a bootstrap over users, the same resamples for all.

Users are drawn with replacement and everything is measured anew (Efron 1979; for recommenders' measures
Sakai 2006, "Evaluating evaluation metrics based on the bootstrap"). An interval is the middle 95 % of it. All
of a task's agents are measured on the same resamples, so that their differences are paired.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import ttest_1samp

from experiments.inference.users import LEVEL, ROUNDING
from sim.arrays import FloatArray, IntArray
from sim.random import RandomStream

_CHUNK = 32
"""Resamples held at a time."""


@dataclass(frozen=True)
class Resampled:
    """A measure, and what it is in each resample.

    Attributes:
        value: on the users as they are.
        values: (R,) float64, one a resample.
    """

    value: float
    values: FloatArray

    def __sub__(self, other: "Resampled") -> "Resampled":
        return Resampled(self.value - other.value, self.values - other.values)

    def interval(self) -> tuple[float, float]:
        """The middle ``LEVEL`` of the resamples, and as far as the value where that lies outside, as it may of
        a measure of few steps (coverage), whose resamples are nearly all alike.
        """
        low, high = np.quantile(self.values, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        return min(float(low), self.value), max(float(high), self.value)


def means(values: FloatArray, stream: RandomStream, resamples: int) -> list[Resampled]:
    """The means over users of measures (U, m) float64; the same stream, a task's, draws the same users."""
    drawn = [counts @ values / len(values) for counts in _drawn(len(values), stream, resamples)]
    resampled = np.concatenate(drawn)  # (R, m)
    return [Resampled(float(values[:, m].mean()), resampled[:, m]) for m in range(values.shape[1])]


def coverage(lists: IntArray, num: int, stream: RandomStream, resamples: int) -> Resampled:
    """Share of the candidates that anybody's list holds:  coverage@k = |union of the users' lists| / candidates

    (catalogue coverage: Ge, Delgado-Battenfeld and Jannach 2010, "Beyond accuracy"). It grows with the number of
    users. A resample leaves out a third of them, so all resamples lie below; they are moved up so that their mean is
    the value (and none leaves 0 to 1): their spread is taken from the bootstrap, their place is not.

    Args:
        lists: (U, k), -1 pads.
        num: candidates.
        stream, resamples: as of ``means``.
    """
    row, slot = np.nonzero(lists >= 0)
    once, column = np.unique(lists[row, slot], return_inverse=True)
    shape = (len(lists), len(once))
    listed = sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=shape)
    value = len(once) / num
    drawn = [
        (listed.T @ (counts > 0).T.astype(np.float32) > 0).sum(axis=0) / num
        for counts in _drawn(len(lists), stream, resamples)
    ]
    resampled = np.concatenate(drawn)
    return Resampled(value, np.clip(resampled + (value - resampled.mean()), 0.0, 1.0))


def _drawn(num: int, stream: RandomStream, resamples: int) -> Iterator[IntArray]:
    """How often each of ``num`` users is drawn: (c, num) int64, until there are ``resamples`` rows."""
    generator = stream.generator()
    for first in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - first)
        drawn = generator.integers(0, num, (rows, num)) + np.arange(rows)[:, None] * num
        yield np.bincount(drawn.ravel(), minlength=rows * num).reshape(rows, num)


def paired_p(differences: FloatArray) -> float | None:
    """p of the users' mean difference (U,) being 0, by the paired t-test, two-sided; None where they do not vary."""
    if len(differences) < 2 or np.ptp(differences) <= ROUNDING * np.abs(differences).max():
        return None
    return float(ttest_1samp(differences, 0.0).pvalue)
