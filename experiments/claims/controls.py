"""The controls that every claim is shown with: what must vanish, and what must be there.

Verdicts are about the *experiment*: "as it must" or "not as it must".
"""

from scipy.stats import binom

from experiments.across_worlds import OverWorlds, over_worlds
from experiments.claims.criteria import ACTIVE, LLM, NOT_RUN, WATCH, Claim, Variants
from experiments.claims.plan import MAIN, NOTHING_TO_FIND, PERMUTED, SAME_TWICE
from experiments.claims.worlds import Worlds

SOUND, UNSOUND = "as it must", "not as it must"
EDGE = "novel_positive_rate_agent_slots"
"""What the language model's edge over its twin is measured in: novel impressions that pleased."""

TWIN, ORACLE = "llm_random_weights", "oracle"
_SAME = ("novel_positive_rate_agent_slots", "positive_rate", WATCH, ACTIVE, "discoveries_per_user")
"""Metrics of which an A/A must show no difference."""


def controls(variants: Variants) -> list[Claim]:
    """A row for each control."""
    return [edge_without_words(variants), nothing_to_gain(variants), same_twice(variants), something_to_find(variants)]


def edge_without_words(variants: Variants) -> Claim:
    """Where labels are permuted, the LLM must not be better than its random-weights twin."""
    name, source = "Labels permuted: the LLM's edge over its random-weights twin is gone", "control, alpha = 0"
    there = variants.get(PERMUTED)
    if there is None or not there.has(LLM, TWIN):
        return _not_run(name, source)
    edge = there.against(LLM, TWIN, EDGE)
    main = variants[MAIN].against(LLM, TWIN, EDGE) if variants[MAIN].has(LLM, TWIN) else over_worlds([None])
    told = f"Positive feedback on novel impressions, relative to the twin. With labels as they are: {_told(main)}."
    return _row(name, source, edge, "% to the twin", edge.low is None or edge.low <= 0, told)


def nothing_to_gain(variants: Variants) -> Claim:
    """Where every love is known and nothing tires, no explorer may gain watch time."""
    name, source = "Nothing to find and no satiation: exploring gains no watch time", "control, no dormant interests"
    there = variants.get(NOTHING_TO_FIND)
    if there is None or not there.has(LLM, "control"):
        return _not_run(name, source)
    lifts = {arm: there.against(arm, "control", WATCH) for arm in there.arms if arm != "control"}
    sound = all(lift.low is None or lift.low <= 0 for lift in lifts.values())
    told = "Watch time relative to control: " + ", ".join(f"{arm} {_told(lift)}" for arm, lift in lifts.items()) + "."
    return _row(name, source, lifts[LLM], "% watch time to control", sound, told)


def same_twice(variants: Variants) -> Claim:
    """A/A: of the p-values of ``_SAME`` in all worlds no more are below 0.05 than chance brings in 99 of 100 cases."""
    name, source = "The same agent twice: no difference", "control, A/A"
    there = variants.get(SAME_TWICE)
    if there is None or len(there.arms) < 2:
        return _not_run(name, source)
    again = there.arms[1]
    p = [results["lifts"][again][metric]["p"] for results in there.each for metric in _SAME]
    known = [value for value in p if value is not None]
    found = sum(value < 0.05 for value in known)
    most = int(binom.ppf(0.99, len(known), 0.05))
    lift = there.against(again, there.arms[0], WATCH)
    told = f"Of {len(known)} differences between users, {found} have p < .05; by chance up to {most} would."
    return _row(name, source, lift, "% watch time", found <= most, told)


def something_to_find(variants: Variants) -> Claim:
    """Who knows the truth must find more dormant interests than production does."""
    name, source = "There is something to find: the oracle discovers more", "control, upper bound"
    worlds: Worlds = variants[MAIN]
    if not worlds.has(ORACLE, "control"):
        return _not_run(name, source)
    lift = worlds.against(ORACLE, "control", "discoveries_per_user")
    watch = worlds.against(ORACLE, "control", WATCH)
    sound = lift.low is not None and lift.low > 0
    return _row(name, source, lift, "% discoveries to control", sound, f"Its watch time: {_told(watch)}.")


def _row(name: str, source: str, found: OverWorlds, unit: str, sound: bool, why: str) -> Claim:
    here, low, high = (None if v is None else 100 * v for v in (found.mean, found.low, found.high))
    return Claim(name, source, here, low, high, unit, SOUND if sound else UNSOUND, why)


def _not_run(name: str, source: str) -> Claim:
    return Claim(name, source, None, None, None, "", NOT_RUN, "Its variant or arms were not run.")


def _told(found: OverWorlds) -> str:
    if found.mean is None:
        return "unknown"
    between = "" if found.low is None or found.high is None else f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{100 * found.mean:+.1f} %{between}"
