"""Definitions that stand on pages above the tables that use them; terms are those of docs/glossary.md."""

from collections.abc import Iterable

from experiments.measures.metrics import METRICS, TRAILING_DAYS
from experiments.measures.variety import RAREFIED_WATCHES
from experiments.results_schema import MetricName

TAU = "\N{GREEK SMALL LETTER TAU}"

TERMS = {
    "arm": "One agent, or the control, with the users that it serves.",
    "control": "The arm in which production, the platform's own recommender, fills every slot.",
    "reference": "The arm that others are compared with on the agent's slots, of which the control has none.",
    "agent's slots": "The slots of a slate that the arm's agent fills; production fills the others.",
    "impression": "One item shown to one user, who examined it.",
    "consumed": "Of an item: played for more than 7 seconds, played to its end, or liked.",
    "positive": "An impression with a long view (18 seconds or to the end) or a like, and no dislike.",
    "cluster": "A group of similar items, made by the platform.",
    "novel": "Of a cluster from which the user had never consumed anything before the impression.",
    "dormant interest": "A topic that the user would love and has not met; only the simulator knows it.",
    "discovery": "A dormant interest that the user now knows.",
    "relative difference": "Value in the arm, divided by the value in the arm that it is compared with, less 1; in "
    "percent. Also called lift.",
    "95% interval": "Would hold the true value in 95 of 100 repetitions, each quantity by itself.",
    "adjusted p-value": "p-value that allows for the number of quantities that were tested together. Below 0.05 a "
    "difference counts as detected.",
    "world": "One simulated platform with its users and items, made from a seed.",
    TAU: "How much the true difference itself varies from world to world: its standard deviation in percentage points, "
    "without the random error of each world's users.",
    "UCI@N": f"Share of assigned users with at least N distinct clusters consumed in the last {TRAILING_DAYS} days. It "
    f"rises with volume alone; compare it with distinct clusters in {RAREFIED_WATCHES} watches.",
}
"""Term -> what it means."""


def terms(*names: str) -> list[tuple[str, str]]:
    """These terms with their definitions."""
    return [(name, TERMS[name]) for name in names]


def metrics(names: Iterable[MetricName] | None = None) -> list[tuple[str, str]]:
    """Titles and definitions of these metrics, or of all."""
    chosen = None if names is None else set(names)
    defined, before = [], ""
    for metric in METRICS:
        words = metric.description
        if words.startswith(_SAME):  # as the metric before, which may not be among the chosen
            words = f"{before.removesuffix('.')}, over{words.removeprefix(_SAME)}"
        before = words
        if chosen is None or metric.name in chosen:
            defined.append((metric.title, words + _NEUTRAL * (metric.higher_is_better is None)))
    return defined


_SAME = "The same over"
_NEUTRAL = " Neither direction is better by itself."
