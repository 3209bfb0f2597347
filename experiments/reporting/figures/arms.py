"""How arms look: every arm has one colour and marker in all figures.

The palette is that of Okabe and Ito (2008, "Color Universal Design"), which people with colour-blindness can
distinguish.
"""

from collections.abc import Iterable
from typing import Any

from experiments.reporting.figures.axes import BLACK, COLOURS, GREY, MARKERS
from experiments.results_schema import MetricName, Results

NOVELTY: MetricName = "novel_impression_ratio_agent_slots"
FEEDBACK: MetricName = "positive_rate_agent_slots"
"""Figure 4b's axes."""


def arm_styles(results: Results) -> dict[str, dict[str, Any]]:
    """Colour and marker of every arm: the control grey, the reference black, others by name.

    Styles go by sorted name, not by position, so that a JSON file with sorted keys and a report
    that lists the arms in another order draw them alike.
    """
    return styles_of(results["arms"], *baselines(results))


def styles_of(arms: Iterable[str], control: str | None, reference: str | None) -> dict[str, dict[str, Any]]:
    """``arm_styles`` of arms by name."""
    styles: dict[str, dict[str, Any]] = {}
    others = 0
    for name in sorted(arms):
        if name == reference:
            styles[name] = {"color": BLACK, "marker": "D"}
        elif name == control:
            styles[name] = {"color": GREY, "marker": "d"}
        else:
            styles[name] = {"color": COLOURS[others % len(COLOURS)], "marker": MARKERS[others % len(MARKERS)]}
            others += 1
    return styles


def baselines(results: Results) -> tuple[str | None, str | None]:
    """``(control, reference)``: whom lifts on the feed and on the agent's slots are against."""
    slots = (lifts[NOVELTY]["vs"] if NOVELTY in lifts else None for lifts in results["lifts"].values())
    return results["daily"]["vs"], next((name for name in slots if name is not None), None)
