"""What a comparison may call a difference: its adjusted p-value, and the fewest users and days that tell anything."""

from experiments.inference.users import LEVEL
from experiments.results_schema import Results

FEW_USERS, FEW_DAYS = 100, 3
"""Fewer users an arm, or days, are too few to tell: first days are not the rest, and intervals lean on few (chosen)."""


def too_few(results: Results) -> str:
    """How few users and days there are, if they are too few for any verdict; else nothing."""
    users = min(of_arm["watch_minutes_per_user_day"]["n"] for of_arm in results["arms"].values())
    days = len(results["daily"]["day"])
    return "" if users >= FEW_USERS and days >= FEW_DAYS else f"{users:,} users an arm, {days} days"


def sure(p_adjusted: float | None) -> bool:
    """Whether what was tested is told from 0 when all that was looked at with it is allowed for."""
    return p_adjusted is not None and p_adjusted < 1.0 - LEVEL
