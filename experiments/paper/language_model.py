"""C5 to C8: what the paper says of fine-tuning, curation and bulk inference (sections 3.2 and 3.3)."""

from typing import Any

from experiments.inference.worlds import OverWorlds
from experiments.paper.live import LLM
from experiments.paper.verdicts import FAILS, HOLDS, OPEN, Claim, Stated, above, if_enough, jointly, percent
from experiments.several.bands import Curve
from experiments.several.plan import CURATION, MAIN
from experiments.several.worlds import Variants, Worlds, estimate

RANDOM_CURATION = "llm_random_curation"
RECALL = "recall@10"
RECALL_SHOWN = f"{RECALL} under the trie"
"""What it is: all labels are scored, and nothing but labels can be named. The paper's recall is of generated texts."""

MATCHED = 0.99
"""Match rate that counts as having learned the language (section 3.3)."""

FEW_HOURS = 5.0
"""What "just a few hours" is taken to mean (chosen)."""

PAPERS_PAIRS = 761 * 761
"""Section 3.2: all ordered pairs of 761 clusters."""

C5 = Stated(
    "C5",
    "The match rate is learned first and passes 99%",
    "“formatting learning … kicks in first”, then recall; “a high match rate (over 99%)” (section 3.3, figure 4a)",
    f"In every world the strict match rate reaches {MATCHED:.0%}, at a step no later than the one where held-out "
    f"{RECALL_SHOWN} is highest; does not hold if in no world.",
)
C6 = Stated(
    "C6",
    "Held-out recall then rises, peaks and falls with more steps; it stays far below recall on the fine-tuning set",
    "“recall for a separate test set increases …, reaching its peak at around 3,000 steps before gradually "
    "decreasing”, “much lower than that of the fine-tuning set” (section 3.3, figure 4a)",
    f"{RECALL_SHOWN} (all labels scored; the paper's is of generated texts) on held-out pairs, at the peak of the mean "
    "curve above step 0 and above the last step, and below the "
    "fine-tuning set's at the last step: all three differences' intervals lie above 0. Does not hold if one lies "
    "below. A curve that is highest at its end says nothing of a fall.",
)
C7 = Stated(
    "C7",
    "Diversified curation removes the dominant labels and thins the long tail",
    "With diverse data “these dominant labels disappear, and the number of generated clusters with very low frequency "
    "… also decreases” (section 3.3, figure 3)",
    "Over all pairs, diversified against random curation: Gini index and share of the most frequent hundredth of "
    "labels are lower, entropy and coverage are higher: all four intervals lie on their side of 0. Does not hold if "
    "one lies on the other.",
)
C8 = Stated(
    "C8",
    "The table for all pairs is made offline within a few hours; serving is a look-up",
    "“batch inference … to obtain novel interests for each cluster pair under just a few hours”, “simple table lookup” "
    "(section 3.2)",
    f"At the rate at which this run's tables were filled, {PAPERS_PAIRS:,} pairs take at most {FEW_HOURS:g} hours on "
    "this machine.",
)


def c5(variants: Variants, _among: int = 1) -> Claim:
    """C5: every world's strict match rate reaches 0.99, at a step no later than the held-out recall's peak.

    Holds if so in every world, does not hold if in none, is else not told apart. Shown is the highest match rate.
    """
    worlds = variants[MAIN]
    match, held_out = worlds.tuning("match_rate"), worlds.tuning("held_out", RECALL)
    if match is None or held_out is None:
        return C5.not_run("There is no fine-tuning curve.")
    reached = [next((x for x, v in zip(match.x, row, strict=True) if v >= MATCHED), None) for row in match.by_world]
    peaks = [held_out.x[peak_of(row)] for row in held_out.by_world]
    first = [step is not None and step <= peak for step, peak in zip(reached, peaks, strict=True)]
    best = estimate([max(row) for row in match.by_world])
    steps = ", ".join("never" if step is None else f"{step:g}" for step in reached)
    why = f"99% at step {steps} (a world each); held-out {RECALL_SHOWN} is highest at step {_listed(peaks)}."
    verdict = HOLDS if all(first) else OPEN if any(first) else FAILS
    verdict, why = if_enough(len(first), verdict, f"{why} {_grid(match)}")  # by counting worlds, not by best's interval
    return C5.judged(best, "% at best", verdict, why)


def c6(variants: Variants, among: int = 1) -> Claim:
    """C6: held-out recall@10 under the trie rises to its peak, falls after it, and ends below the fine-tuning samples'.

    The peak is the step where the *mean* over worlds is highest; each world's rise to and fall from that step is
    what has an interval. A step that was chosen for being highest looks higher than it is: holding is weak evidence
    of a fall. Shown is the rise.
    """
    worlds = variants[MAIN]
    held_out, seen = worlds.tuning("held_out", RECALL), worlds.tuning("fine_tuning", RECALL)
    if held_out is None or seen is None:
        return C6.not_run("There is no fine-tuning curve.")
    peak = peak_of(held_out.mean)
    rise = estimate([row[peak] - row[0] for row in held_out.by_world])
    fall = estimate([row[peak] - row[-1] for row in held_out.by_world])
    gap = estimate([s[-1] - h[-1] for s, h in zip(seen.by_world, held_out.by_world, strict=True)])
    ended = peak == len(held_out.x) - 1
    verdict = jointly([above(rise, among=among), OPEN if ended else above(fall, among=among), above(gap, among=among)])
    why = (
        f"Peak of the mean at step {held_out.x[peak]:g} of {held_out.x[-1]:g}: rise {_points(rise)}, fall "
        f"{'not seen, the curve ends there' if ended else _points(fall)}, below the fine-tuning set {_points(gap)}."
    )
    return C6.judged(rise, f"points of {RECALL_SHOWN} gained", verdict, f"{why} {_grid(held_out)}")


def c7(variants: Variants, among: int = 1) -> Claim:
    """C7: labels over all pairs are spread more evenly with diversified than with random curation.

    Holds if all four measures of spread (``agents.llm.table.label_skew``) are better with an interval that leaves
    0 out, does not hold if one is worse, is else not told apart. Shown is by how much the Gini index is lower.
    """
    worlds = variants.get(CURATION)
    better = {key: _spread(worlds, key, sign) for key, (_, sign) in SPREAD.items()} if worlds is not None else {}
    if worlds is None or any(each.mean is None for each in better.values()):
        return C7.not_run("There are no two tables to compare.")
    why = "; ".join(
        f"{title} {_mean(worlds, LLM, key)} diversified, {_mean(worlds, RANDOM_CURATION, key)} random"
        for key, (title, _) in SPREAD.items()
    )
    verdict = jointly([above(each, among=among) for each in better.values()])
    return C7.judged(better["gini"], "points of Gini less", verdict, f"{why}.")


SPREAD = {
    "gini": ("Gini", -1),
    "top_1_percent_share": ("top hundredth's share", -1),
    "normalised_entropy": ("entropy", 1),
    "coverage": ("coverage", 1),
}
"""Measures of ``label_skew`` -> title, and which way is more even."""


def c8(variants: Variants, _among: int = 1) -> Claim:
    """C8 without durations, which ``results.json`` does not hold: what was computed, deterministically.

    ``experiments.paper.speed`` judges it by the clock, for ``timings.json`` and the page.
    """
    worlds = variants[MAIN]
    pairs, tokens = (worlds.number("costs", LLM, key) for key in ("pairs_computed", "tokens_computed"))
    size = worlds.number("costs", LLM, "table_bytes")
    if pairs.mean is None or tokens.mean is None or size.mean is None:
        return C8.not_run("There is no table.")
    why = f"{pairs.mean:,.0f} pairs, {tokens.mean:,.0f} tokens and a table of {size.mean:,.0f} bytes a world."
    verdict = "see timings.json"
    return Claim(C8.id, C8.claim, C8.paper, None, None, None, "hours", verdict, C8.criterion, why)


def peak_of(row: tuple[float, ...]) -> int:
    """Where a curve is highest, the first place of several."""
    return max(range(len(row)), key=lambda i: (row[i], -i))


def _spread(worlds: Worlds, key: str, sign: int) -> OverWorlds:
    """By how much a measure is more even with diversified curation, over worlds."""
    one, other = (worlds.number("llm_arms", arm, "label_skew", key).by_world for arm in (LLM, RANDOM_CURATION))
    return estimate([None if a is None or b is None else sign * (a - b) for a, b in zip(one, other, strict=True)])


def _mean(worlds: Worlds, arm: str, key: str) -> str:
    return f"{worlds.number('llm_arms', arm, 'label_skew', key).mean:.3f}"


def _points(difference: OverWorlds) -> str:
    return percent(difference, unit=" points")


def _grid(curve: Curve) -> str:
    return f"The curve has points at steps {_listed(list(curve.x))}."


def _listed(values: list[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values)
