"""The paper's claims, each with the criterion by which it holds here, fixed before any run.

Intervals are over worlds (t). A claim *holds* if its interval lies wholly on its side of the criterion, *does
not hold* if it lies wholly on the other side, and is *not told apart* otherwise.
"""

from dataclasses import asdict, dataclass
from typing import Any

from experiments.across_worlds import OverWorlds, over_worlds
from experiments.claims.plan import MAIN
from experiments.claims.worlds import Worlds

NOVELTY, FEEDBACK = "novel_impression_ratio_agent_slots", "positive_rate_agent_slots"
WATCH, ACTIVE = "watch_minutes_per_user_day", "active_user_share"

LLM, BANDIT = "llm", "hcb"
EXPLORING, EXPLOITING = ("hcb", "novelty"), ("sequence", "two_tower")
"""The paper's baselines, by what they are for (section 4.1)."""

MARGIN = 0.10
"""Relative difference within which two positive feedback rates count as comparable (chosen)."""

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "not told apart", "not run"

Variants = dict[str, Worlds]


@dataclass(frozen=True)
class Claim:
    """A row of the claims table.

    Attributes:
        claim: its name and what is claimed.
        paper: where the paper says it.
        here: the estimate in ``unit``; None where nothing was run that could say.
        low, high: its 95 % interval over worlds.
        unit: of the three.
        verdict: see above.
        why: the criterion, and what else was seen.
    """

    claim: str
    paper: str
    here: float | None
    low: float | None
    high: float | None
    unit: str
    verdict: str
    why: str

    def row(self) -> dict[str, Any]:
        """The claim as ``results.json`` has it."""
        return asdict(self)


def verdict(found: OverWorlds, above: float = 0.0) -> str:
    """Whether an interval lies above a bound."""
    if found.low is None or found.high is None:
        return OPEN if found.mean is not None else NOT_RUN
    return HOLDS if found.low > above else FAILS if found.high < above else OPEN


def jointly(verdicts: list[str]) -> str:
    """The verdict on all of several at once: the worst."""
    for worst in (NOT_RUN, FAILS, OPEN):
        if worst in verdicts:
            return worst
    return HOLDS if verdicts else NOT_RUN


def claims(variants: Variants) -> list[Claim]:
    """C1 to C7 from the results; C8 is about time, which results do not hold (``speed_claim``)."""
    worlds = variants[MAIN]
    return [c1(worlds), c2(worlds), c3(worlds), c4(worlds), c5(worlds), c6(worlds), c7(worlds)]


def c1(worlds: Worlds) -> Claim:
    """C1: the novel impression ratio on the agent's slots is above that of *every* baseline of the paper."""
    name, paper = "C1 The LLM agent's own impressions are more novel than every baseline's", "figure 4b, x"
    baselines = [arm for arm in (*EXPLORING, *EXPLOITING) if worlds.has(arm)]
    if not worlds.has(LLM, BANDIT):
        return _not_run(name, paper)
    lifts = {arm: worlds.against(LLM, arm, NOVELTY) for arm in baselines}
    told = ", ".join(f"{arm} {_percent(lift)}" for arm, lift in lifts.items())
    return _claim(
        name,
        paper,
        lifts[BANDIT],
        f"% to {BANDIT}",
        jointly([*map(verdict, lifts.values())]),
        f"Novel impressions on the agent's slots, relative to each baseline, must be above 0: {told}.",
    )


def c2(worlds: Worlds) -> Claim:
    """C2: positive feedback on the agent's slots is above the exploring baselines', and not ``MARGIN`` below the others'."""
    name, paper = "C2 ... and liked more than exploration's, as much as exploitation's", "figure 4b, y"
    if not worlds.has(LLM, BANDIT):
        return _not_run(name, paper)
    above = {arm: worlds.against(LLM, arm, FEEDBACK) for arm in EXPLORING if worlds.has(arm)}
    level = {arm: worlds.against(LLM, arm, FEEDBACK) for arm in EXPLOITING if worlds.has(arm)}
    verdicts = [*map(verdict, above.values()), *(verdict(lift, -MARGIN) for lift in level.values())]
    told = ", ".join(f"{arm} {_percent(lift)}" for arm, lift in {**above, **level}.items())
    return _claim(
        name,
        paper,
        above[BANDIT],
        f"% to {BANDIT}",
        jointly(verdicts),
        f"Positive feedback on the agent's slots must be above that of {' and '.join(above)}, and at most "
        f"{MARGIN:.0%} below that of {' and '.join(level)}: {told}.",
    )


def c3(worlds: Worlds) -> Claim:
    """C3: the simultaneous band of UCI@N against the bandit lies above 0 for at least half of all N shown."""
    name, paper = "C3 More users have N interests, over a wide range of N", "figure 4c"
    curve = worlds.uci(LLM) if worlds.has(LLM, BANDIT) else None
    if curve is None:
        return _not_run(name, paper)
    above, below = (sum(flags) / len(curve.x) for flags in ([v > 0 for v in curve.low], [v < 0 for v in curve.high]))
    middle = len(curve.x) // 2
    found = OverWorlds(curve.mean[middle], curve.low[middle], curve.high[middle], ())
    return _claim(
        name,
        paper,
        found,
        f"% to {BANDIT} at N = {curve.x[middle]:g}",
        HOLDS if above >= 0.5 else FAILS if below >= 0.5 else OPEN,
        f"The band over all N must be above 0 for half of N = {curve.x[0]:g} to {curve.x[-1]:g}: it is above "
        f"for {above:.0%} and below for {below:.0%}.",
    )


def c4(worlds: Worlds) -> Claim:
    """C4: watch time and active users are both above the control's; their trend over days is told beside it."""
    name, paper = "C4 Watch time and active users grow against production alone", "figure 5"
    if not worlds.has(LLM, "control"):
        return _not_run(name, paper)
    watch, active = (worlds.against(LLM, "control", metric) for metric in (WATCH, ACTIVE))
    trend = worlds.trend(LLM, "watch_minutes")
    return _claim(
        name,
        paper,
        watch,
        "% watch time to control",
        jointly([verdict(watch), verdict(active)]),
        f"Both must be above 0: watch time {_percent(watch)}, active users {_percent(active)}. Trend of "
        f"watch time's lift: {_percent(trend, 2)} a day.",
    )


def c5(worlds: Worlds) -> Claim:
    """C5: every world's strict match rate reaches 0.99, at a step no later than the held-out recall's peak."""
    name, paper = "C5 The match rate is learned first and passes 99 %", "figure 4a"
    match, held_out = worlds.tuning("match_rate"), worlds.tuning("held_out", "recall@10")
    if match is None or held_out is None:
        return _not_run(name, paper)
    peaks = [max(row) for row in match.by_world]
    reached = [next((x for x, v in zip(match.x, row, strict=True) if v >= 0.99), None) for row in match.by_world]
    recall_peaks = [_peak(held_out.x, row) for row in held_out.by_world]
    first = [r is not None and r <= p for r, p in zip(reached, recall_peaks, strict=True)]
    told = ", ".join("never" if r is None else f"{r:g}" for r in reached)
    return _claim(
        name,
        paper,
        over_worlds([*peaks]),
        "% at best",
        HOLDS if all(first) else FAILS if not any(first) else OPEN,
        f"In every world it must reach 99 %, and not after held-out recall peaks: reached at step {told}; "
        f"recall peaks at {', '.join(f'{p:g}' for p in recall_peaks)}.",
    )


def c6(worlds: Worlds) -> Claim:
    """C6: held-out recall@10 rises to its peak and falls after it, and ends below the fine-tuning samples'.

    The peak is the step of the largest *mean*; each world's rise to and fall from that step is what has
    an interval. A step that was chosen as the largest looks larger than it is: holding is weak evidence.
    """
    name, paper = "C6 Held-out recall then rises, peaks and falls, far below the fine-tuning set's", "figure 4a"
    held_out, seen = worlds.tuning("held_out", "recall@10"), worlds.tuning("fine_tuning", "recall@10")
    if held_out is None or seen is None:
        return _not_run(name, paper)
    peak = held_out.x.index(_peak(held_out.x, held_out.mean))
    rise, fall, gap = (
        over_worlds([row[peak] - row[0] for row in held_out.by_world]),
        over_worlds([row[peak] - row[-1] for row in held_out.by_world]),
        over_worlds([s[-1] - h[-1] for s, h in zip(seen.by_world, held_out.by_world, strict=True)]),
    )
    return _claim(
        name,
        paper,
        rise,
        "points of recall@10 gained",
        jointly([*map(verdict, (rise, fall, gap))]),
        f"Rise to step {held_out.x[peak]:g}, fall from there, and distance to the fine-tuning set at the end "
        f"must be above 0: {_percent(rise)}, {_percent(fall)}, {_percent(gap)} (points).",
    )


def c7(worlds: Worlds) -> Claim:
    """C7: the Gini index of labels over all pairs is lower with diversified than with random curation."""
    name, paper = "C7 Diversified curation spreads the labels", "figure 3"
    arm = "llm_random_curation"
    if not worlds.has(LLM, arm):
        return _not_run(name, paper)

    def skew(key: str) -> tuple[OverWorlds, OverWorlds]:
        one, other = (worlds.description("llm_arms", each, "label_skew", key) for each in (LLM, arm))
        return one, other

    ginis, entropies, covered = skew("gini"), skew("normalised_entropy"), skew("coverage")
    lower = over_worlds([_minus(r, d) for d, r in zip(ginis[0].by_world, ginis[1].by_world, strict=True)])
    told = "; ".join(
        f"{title} {_number(pair[0].mean)} and {_number(pair[1].mean)}"
        for title, pair in (("Gini", ginis), ("normalised entropy", entropies), ("coverage", covered))
    )
    return _claim(
        name,
        paper,
        lower,
        "points of Gini less",
        verdict(lower),
        f"The Gini index must be lower than with random curation: diversified and random have {told}.",
    )


def speed_claim(pairs_per_second: float | None, lookup_milliseconds: float | None) -> Claim:
    """C8: at the measured rate, the paper's 579,121 pairs take at most a few (5) hours; serving is a look-up.

    Args:
        pairs_per_second: of this machine, all workers together; None where every table came from the cache.
        lookup_milliseconds: median time to look 1,000 users up.
    """
    name, paper = "C8 The table for all pairs is made offline in a few hours; serving is a look-up", "section 3.2"
    if pairs_per_second is None:
        return Claim(name, paper, None, None, None, "hours", NOT_RUN, "All tables came from the cache.")
    hours = 761**2 / pairs_per_second / 3600
    return Claim(
        name,
        paper,
        hours,
        None,
        None,
        "hours for 579,121 pairs",
        HOLDS if hours <= 5 else FAILS,
        f"At the {pairs_per_second:,.0f} pairs a second of these runs' tables, fewer than 5 hours. "
        f"1,000 users are looked up in {_number(lookup_milliseconds)} ms.",
    )


def _claim(name: str, paper: str, found: OverWorlds, unit: str, said: str, why: str) -> Claim:
    here, low, high = (None if v is None else 100 * v for v in (found.mean, found.low, found.high))
    return Claim(name, paper, here, low, high, unit, said, why)


def _not_run(name: str, paper: str) -> Claim:
    return Claim(name, paper, None, None, None, "", NOT_RUN, "The arms or curves that it needs were not run.")


def _peak(x: tuple[float, ...], row: tuple[float, ...]) -> float:
    """The first place of the largest value."""
    return x[max(range(len(row)), key=lambda i: (row[i], -i))]


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _percent(found: OverWorlds, digits: int = 1) -> str:
    if found.mean is None:
        return "unknown"
    between = ""
    if found.low is not None and found.high is not None:
        between = f" [{100 * found.low:+.{digits}f}, {100 * found.high:+.{digits}f}]"
    return f"{100 * found.mean:+.{digits}f} %{between}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
