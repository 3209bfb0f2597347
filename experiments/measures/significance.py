"""Significance of a comparison's differences: adjusted p-value, and the least numbers of users and days."""

from experiments.inference.users import LEVEL
from experiments.results_schema import Results

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
