"""Rows of benchmark.json."""

import statistics
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def benchmark_row(part: str, case: str, values: Sequence[float], unit: str) -> Row:
    """A row with the median of several measurements, their extremes, and nothing to compare with yet.

    Args:
        part: of the benchmark.
        case: what was measured.
        values: at least one, each a measurement, in ``unit``.
    """
    return {
        "part": part,
        "case": case,
        "value": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "unit": unit,
        "against": None,
        "ratio": None,
        "bound": None,
        "of_bound": None,
    }
