"""C1 to C4: what the paper's live experiments say (section 4.2), judged by the variant ``main``."""

import math

from experiments.paper.verdicts import (
    FAILS,
    HOLDS,
    OPEN,
    Claim,
    Stated,
    above,
    band_together,
    if_enough,
    jointly,
    named,
    percent,
    smallest,
    together,
)
from experiments.reporting.text import number
from experiments.results_schema import MetricName
from experiments.several.bands import FEW_WORLDS, Curve
from experiments.several.plan import MAIN
from experiments.several.worlds import Variants, Worlds, share

NOVELTY: MetricName = "novel_impression_ratio_agent_slots"
FEEDBACK: MetricName = "positive_rate_agent_slots"
WATCH: MetricName = "watch_minutes_per_user_day"
ACTIVE: MetricName = "active_user_share"

CONTROL, LLM, BANDIT = "control", "llm", "hcb"
EXPLORING, EXPLOITING = (BANDIT, "novelty"), ("two_tower", "sequence")
"""The paper's baselines, by what they are for (section 4.1)."""

NO_LANGUAGE_ARMS = ("random_novel", "counts")
"""Not in the paper: planners of novel clusters that use no language."""

FILTER = "random_novel"
"""The planner with the LLM agent's filter, only clusters new to the user, and nothing else of it."""

COMPARABLE = 0.10
"""A positive rate that is surely not this much lower counts as comparable (chosen)."""

PAPERS_N, PAPERS_CLUSTERS = (20, 200), 761
"""Figure 4c's range of N, and how many clusters there are (sections 3.2 and 4.2)."""

C1 = Stated(
    "C1",
    "The LLM agent's own impressions are more novel than every baseline's",
    "“recommends more novel items compared to all the baseline methods” (section 4.2, figure 4b, x)",
    "Novel impression ratio on the agent's slots: the interval of the relative difference lies above 0 for each of "
    "hcb, novelty, two_tower, sequence, which may show what the user knows, and for random_novel, which may not: the "
    "LLM's planner may not either, and that filter alone must not decide.",
)
C2 = Stated(
    "C2",
    "They are liked more than exploration's, and about as much as exploitation's",
    "“much better quality than existing exploration-oriented methods, comparable to exploitation-oriented methods” "
    "(section 4.2, figure 4b, y)",
    "Positive feedback rate on the agent's slots: the interval lies above 0 against hcb and novelty, and above "
    f"\N{MINUS SIGN}{COMPARABLE:.0%} against two_tower and sequence.",
)
C3 = Stated(
    "C3",
    "More users reach N interests than under the hierarchical bandit, over a wide range of N",
    "UCI@N shows “very significant improvement … for different values of N”, 20 to 200 of 761 clusters (section 4.2, "
    "figure 4c)",
    "The band over worlds that holds for all N at once lies above 0 for at least half of the N in the paper's range "
    "(as shares of all clusters), and below 0 for none; does not hold if it lies below 0 for half of them.",
)
C4 = Stated(
    "C4",
    "Watch time and active users grow over the experiment against a control without the method",
    "“user growth”: watch time and users with 10 minutes or more are up (section 4.2, figure 5)",
    "Over the whole experiment both intervals lie above 0 against control, and neither daily trend's lies below 0.",
)


def c1(variants: Variants, among: int = 1) -> Claim:
    """C1: the novel impression ratio is above that of *every* baseline of the paper.

    Holds if the interval of each relative difference lies above 0, does not hold if one lies below, is else
    not told apart. Of the paper's baselines none has the filter that the LLM's planner has, so a planner of random
    novel clusters is among those that it is compared with. Shown is the difference to the bandit.
    """
    worlds = variants[MAIN]
    if not worlds.has(LLM, FILTER, *EXPLORING, *EXPLOITING):
        return C1.not_run("An arm is missing.")
    lifts = {arm: worlds.against(LLM, arm, NOVELTY) for arm in (*EXPLORING, *EXPLOITING)}
    papers = jointly([above(lift, among=among) for lift in lifts.values()])
    own = above(worlds.against(LLM, FILTER, NOVELTY), among=among)
    why = f"Relative to {named(lifts)}.{_without_language(worlds, NOVELTY)}"
    if papers == HOLDS != own:
        why += f" The paper's baselines are beaten by the filter alone: {FILTER} has it too, and is not beaten."
    return C1.judged(lifts[BANDIT], f"% to {BANDIT}", jointly([papers, own]), why)


def c2(variants: Variants, among: int = 1) -> Claim:
    """C2: positive feedback is above the exploring baselines', and not ``COMPARABLE`` below the exploiting ones'.

    Holds if every interval lies above its bound (0, or -10 %), does not hold if one lies below it, is else not
    told apart. Shown is the difference to the bandit.
    """
    worlds = variants[MAIN]
    if not worlds.has(LLM, *EXPLORING, *EXPLOITING):
        return C2.not_run("An arm is missing.")
    better = {arm: worlds.against(LLM, arm, FEEDBACK) for arm in EXPLORING}
    level = {arm: worlds.against(LLM, arm, FEEDBACK) for arm in EXPLOITING}
    verdicts = [above(lift, among=among) for lift in better.values()]
    verdicts += [above(lift, -COMPARABLE, among) for lift in level.values()]
    why = f"Relative to {named({**better, **level})}.{_without_language(worlds, FEEDBACK)}"
    return C2.judged(better[BANDIT], f"% to {BANDIT}", jointly(verdicts), why)


def c3(variants: Variants, among: int = 1) -> Claim:
    """C3: the simultaneous band of UCI@N against the bandit lies above 0 for at least half of the paper's range.

    The paper's N of 20 to 200 are taken as shares of its 761 clusters. Shown is the share of these N at
    which the band lies above 0; it has no interval.
    """
    worlds = variants[MAIN]
    whole = worlds.uci(LLM) if worlds.has(LLM, BANDIT) else None
    curve = None if whole is None else whole.within(*papers_range(worlds.num_clusters))
    if curve is None or not curve.x:
        return C3.not_run("An arm is missing, or too few users of the bandit's reach the paper's range of N.")
    lows, highs = band_together(curve, among)
    up = sum(low > 0 for low in lows) / len(curve.x)
    down = sum(high < 0 for high in highs) / len(curve.x)
    verdict = HOLDS if up >= 0.5 and down == 0 else FAILS if down >= 0.5 else OPEN
    why = (
        f"Of N = {curve.x[0]:g} to {curve.x[-1]:g} the band is above 0 at {up:.0%}, below at {down:.0%}. {_ends(curve)}"
        f"{_by_filter(worlds)}"
    )
    widest = 50 * max(high - low for low, high in zip(curve.low, curve.high, strict=True))
    reach = widest if len(curve.by_world) > 1 else None  # one world has no band
    verdict, why = if_enough(len(curve.by_world), verdict, why, smallest(reach, "% at every N"))
    return C3.judged(share(up), "% of N", verdict, why)


def _by_filter(worlds: Worlds) -> str:
    """At how many N of C3's range the arm with the LLM's filter and no language is above the bandit."""
    curve = worlds.uci(FILTER) if worlds.has(FILTER) else None
    curve = None if curve is None else curve.within(*papers_range(worlds.num_clusters))
    if curve is None or not curve.x:
        return ""
    return (
        f" {FILTER}, which has the same filter, is above 0 at {sum(low > 0 for low in curve.low) / len(curve.x):.0%}."
    )


def papers_range(num_clusters: int) -> tuple[int, int]:
    """Figure 4c's N as shares of its clusters, in a world of ``num_clusters``."""
    first, last = (n * num_clusters / PAPERS_CLUSTERS for n in PAPERS_N)
    return math.ceil(first), math.floor(last)


def c4(variants: Variants, among: int = 1) -> Claim:
    """C4: watch time and active users are above the control's over all days, and do not fade.

    Holds if both intervals lie above 0 and no slope of the daily difference lies below 0; does not hold if an
    interval or a slope lies below 0; is else not told apart. Shown is watch time.
    """
    worlds = variants[MAIN]
    if not worlds.has(LLM, CONTROL):
        return C4.not_run("An arm is missing.")
    watch, active = (worlds.against(LLM, CONTROL, metric) for metric in (WATCH, ACTIVE))
    slopes = {title: worlds.slope(LLM, series) for title, series in SERIES.items()}
    ends = [together(slope, among)[1] for slope in slopes.values()]
    fades = [FAILS if high is not None and high < 0 else HOLDS for high in ends]
    trend = ", ".join(f"{title} {percent(slope, 2, ' points')}" for title, slope in slopes.items())
    why = f"Watch time {percent(watch)}, active users {percent(active)}. Trend a day: {trend}."
    verdict = jointly([above(watch, among=among), above(active, among=among), *fades])
    return C4.judged(watch, f"% watch time to {CONTROL}", verdict, why)


SERIES = {"watch time": "watch_minutes", "active users": "active_users"}
"""Figure 5's panels: title -> name in the results."""


def _without_language(worlds: Worlds, metric: MetricName) -> str:
    others = {arm: worlds.against(LLM, arm, metric) for arm in NO_LANGUAGE_ARMS if worlds.has(arm)}
    return f" Beside what needs no language: relative to {named(others)}." if others else ""


def _ends(curve: Curve) -> str:
    def at(place: int) -> str:
        return f"{number(curve.mean[place], '+.1f', 100.0, '%')} at N = {curve.x[place]:g}"

    middle = len(curve.x) // 2
    few = len(curve.by_world)
    wide = f" With {few} worlds, fewer than {FEW_WORLDS}, the band is Bonferroni's: wide." if few < FEW_WORLDS else ""
    return f"Mean: {at(0)}, {at(middle)}, {at(-1)}.{wide}"
