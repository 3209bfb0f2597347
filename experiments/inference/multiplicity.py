"""Many metrics at once: p-values that allow for how many were looked at."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control

from sim.arrays import FloatArray
from sim.errors import InvalidInput


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: the chance of any false positive in the family stays below 5 %.

    With p_(1) <= ... <= p_(m),  adjusted p_(i) = min(1, max_{j <= i} (m - j + 1) p_(j))  (Holm 1979, "A simple
    sequentially rejective multiple test procedure"). It assumes nothing of how the tests depend. ``None`` stands for a
    test that could not be made, and does not count.

    Raises:
        InvalidInput: a p-value outside 0 to 1.
    """
    places, known = _known(p)
    order = np.argsort(known, kind="stable")
    steps = np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1))
    adjusted = np.empty(len(known))
    adjusted[order] = np.minimum(steps, 1.0)
    return _placed(adjusted, places, len(p))


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's adjustment: of what is called a difference, 5 % or less is expected to be none.

    Adjusted p_(i) = min_{j >= i} m p_(j) / j  (Benjamini and Hochberg 1995, "Controlling the False Discovery Rate"),
    for independent or positively dependent tests; computed by scipy. ``None`` and errors are as of ``holm``.
    """
    places, known = _known(p)
    return _placed(false_discovery_control(known, method="bh") if len(known) else known, places, len(p))


def _known(p: Sequence[float | None]) -> tuple[list[int], FloatArray]:
    places = [i for i, value in enumerate(p) if value is not None]
    known = np.array([p[i] for i in places], dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise InvalidInput("p", list(p), "must be between 0 and 1")
    return places, known


def _placed(adjusted: FloatArray, places: list[int], num: int) -> list[float | None]:
    values: list[float | None] = [None] * num
    for place, value in zip(places, adjusted.tolist(), strict=True):
        values[place] = value
    return values
