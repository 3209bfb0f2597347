"""Significance of a comparison's differences: adjusted p-value, and the least numbers of users and days."""

from experiments.inference.users import LEVEL, reach_of, two_sided
from experiments.results_schema import Estimate, Results

FEW_USERS, FEW_DAYS = 100, 3
"""Fewer users an arm, or days, are too few: first days differ from later ones, and intervals are unsafe (chosen)."""


def too_few(results: Results) -> str:
    """The numbers of users and days, in words, if they are too few for any verdict; else empty."""
    users = min(of_arm["watch_minutes_per_user_day"]["n"] for of_arm in results["arms"].values())
    days = len(results["daily"]["day"])
    return "" if users >= FEW_USERS and days >= FEW_DAYS else f"{users:,} users an arm, {days} days"


def significant(p_adjusted: float | None) -> bool:
    """Whether an effect differs from 0 after adjustment for multiple comparisons."""
    return p_adjusted is not None and p_adjusted < 1.0 - LEVEL


def p_behind(mean: Estimate) -> float | None:
    """The two-sided p-value against 0 behind a ``mean_interval`` or ``ratio_interval``.

    None without an interval, or where it is a point.
    """
    value, low, high = mean["value"], mean["low"], mean["high"]
    if value is None or low is None or high is None or high <= low:
        return None
    freedom = mean["n"] - 1
    return two_sided(value, (high - low) / 2 / reach_of(freedom), freedom)
