"""The sentences at the top of a comparison's report: which differences hold after adjustment."""

import math
from collections.abc import Mapping

from scipy.special import ndtri

from experiments.inference.users import LEVEL
from experiments.measures.metrics import METRICS
from experiments.measures.significance import FEW_DAYS, FEW_USERS, significant, too_few
from experiments.reporting.text import ends, estimate, listed
from experiments.results_schema import LiftRow, MetricName, PlainLift, Results

SPACE = "\N{NO-BREAK SPACE}"
"""Within an interval, which is then not broken over two lines."""

HEADLINES: tuple[tuple[MetricName, str, str], ...] = (
    ("novel_impression_ratio_agent_slots", "higher", "lower"),
    ("positive_rate_agent_slots", "higher", "lower"),
    ("watch_minutes_per_user_day", "higher", "lower"),
    ("active_user_share", "more", "fewer"),
    ("discoveries_per_user", "more", "fewer"),
)
"""The summary's metrics, with words for a rise and for a fall."""

_METRICS = {metric.name: metric for metric in METRICS}


def summary(results: Results) -> list[str]:
    """A sentence for each of ``HEADLINES``: which arms differ after adjustment, with intervals and p-values.

    A difference counts as detected where its p-value, adjusted for the number of metrics, is below .05, as in the
    table.
    With fewer than ``FEW_USERS`` or ``FEW_DAYS`` nothing counts as detected.
    """
    sentences, few = [], too_few(results)
    if few:
        wanted = f"{FEW_USERS} users an arm, or {FEW_DAYS} days,"
        none = "no difference counts as detected, whatever its interval"
        sentences.append(f"Too few to tell: {few}. Below {wanted} {none}.")
    for metric, rise, fall in HEADLINES:
        title = _METRICS[metric].title
        lifts = {arm: of_arm[metric] for arm, of_arm in results["lifts"].items()}
        known = {arm: lift for arm, lift in lifts.items() if None not in ends(lift)}
        if not known:
            sentences.append(f"{title}: no comparison available{_no_reference(results, lifts)}.")
            continue
        parts = _verdicts(known, rise, fall, bool(few))
        sentences.append(f"{title} against {lifts[next(iter(known))]['vs']}: {'; '.join(parts)}.")
    return sentences


def _verdicts(lifts: Mapping[str, LiftRow], rise: str, fall: str, few: bool) -> list[str]:
    """Which arms rise, fall, differ by their own interval alone, or do not differ; all of them known."""
    best_first = sorted(lifts, key=lambda arm: -(lifts[arm]["relative"] or 0.0))
    different = [arm for arm in best_first if significant(lifts[arm]["p_adjusted"]) and not few]
    above = [arm for arm in different if (lifts[arm]["relative"] or 0.0) > 0]
    below = [arm for arm in reversed(different) if arm not in above]
    others = [arm for arm in best_first if arm not in different]
    alone = [arm for arm in others if leaves_zero_out(lifts[arm]) and not few]
    parts = [f"{word} under {_extreme(arms, lifts)}" for word, arms in ((rise, above), (fall, below)) if arms]
    if alone:
        which = [f"{arm} ({lift_text(lifts[arm])}, adjusted {p_text(lifts[arm]['p_adjusted'])})" for arm in alone]
        parts.append(
            f"no difference after adjustment, though the arm's own interval leaves zero out, for {listed(which)}"
        )
    level = [arm for arm in others if arm not in alone]
    if level:
        least = [f"{arm} ({lift_text(lifts[arm])}; detectable from ±{_detectable(lifts[arm])})" for arm in level]
        parts.append(("" if few else "no difference detected for ") + listed(least))
    return parts


def leaves_zero_out(lift: LiftRow) -> bool:
    """Whether a lift's own interval leaves zero out."""
    _, low, high = ends(lift)
    return low is not None and high is not None and (low > 0 or high < 0)


def _no_reference(results: Results, lifts: Mapping[str, LiftRow]) -> str:
    """Why nothing is compared, where that is because the reference is not among the arms."""
    reference = results["config"].get("experiment", {}).get("reference")
    absent = reference not in results["arms"] and all(lift["vs"] is None for lift in lifts.values())
    return f", since experiment.reference={reference} is not among the arms" if absent else ""


def _detectable(lift: LiftRow) -> str:
    """The smallest lift that such an experiment would detect, by itself, in four of five cases, in percent.

    (z(.975) + z(.8)) standard errors; the interval's half width is z(.975) of them.
    """
    _, low, high = ends(lift)
    assert low is not None
    assert high is not None
    value = 50.0 * (high - low) * float((ndtri(0.5 + LEVEL / 2) + ndtri(0.8)) / ndtri(0.5 + LEVEL / 2))
    return f"{value:.{decimals((value, None, None))}f}%"


def _extreme(arms: list[str], lifts: Mapping[str, LiftRow]) -> str:
    """The first arm with its lift, the others by name: the table has the rest."""
    first = f"{arms[0]} ({lift_text(lifts[arms[0]])}, adjusted {p_text(lifts[arms[0]]['p_adjusted'])})"
    return first if len(arms) == 1 else f"{first}, then {listed(arms[1:])}"


def p_text(p: float | None) -> str:
    """A p-value such as ``p = 0.030``."""
    return "p not known" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def lift_text(lift: PlainLift) -> str:
    """A lift in percent with its interval, such as ``+4.3% [+1.0, +7.6]``."""
    return estimate(lift, f"+.{decimals(ends(lift), 100.0)}f", 100.0, "%").replace(" ", SPACE)


def decimals(of: tuple[float | None, float | None, float | None], factor: float = 1.0) -> int:
    """Decimals for (value, low, high) that show two digits of the interval's half width, or three of a lone value."""
    value, low, high = (None if each is None else factor * each for each in of)
    size = (high - low) / 2 if low is not None and high is not None and high > low else abs(value or 0.0) / 10
    return max(0, min(3, 1 - math.floor(math.log10(size or 1.0))))
