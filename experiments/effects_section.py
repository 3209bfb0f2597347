"""The report's section on single users' effects: tables in words, from ``results["effects"]``."""

from typing import Any

from experiments.effects import EFFECTS, HARM_SHARE, THIRDS
from experiments.inference.users import LEVEL
from experiments.metrics import METRICS
from experiments.reporting.html import cell
from experiments.reporting.text import UNKNOWN, ends, number
from experiments.results_schema import Contrast, Effects, Estimate, MetricName

_TITLES = {metric.name: metric for metric in METRICS}


def effects_section(effects: Effects | None) -> dict[str, Any] | None:
    """What the template shows, or None where users' own effects are not known.

    Returns:
        ``{"vs", "harm_share", "arms", "mean": rows, "harm": rows, "thirds": rows}``; a row has ``title``,
        ``unit`` and ``cells``, see ``reporting.html.cell``; sure is where the adjusted p-value is below .05, or
        for a mean where the interval leaves 0 out.
    """
    if effects is None or not effects["arms"]:
        return None
    arms = list(effects["arms"])
    return {
        "vs": effects["vs"],
        "harm_share": f"{100 * HARM_SHARE:g}",
        "arms": arms,
        "mean": [_mean_row(effects, metric) for metric in EFFECTS],
        "harm": _harm_rows(effects),
        "contrasts": [_contrast_row(effects, trait, metric) for trait in effects["traits"] for metric in EFFECTS],
        "least": [_least_row(effects, trait) for trait in effects["traits"]],
    }


def _mean_row(effects: Effects, metric: MetricName) -> dict[str, Any]:
    of_arms = [of_arm[metric] for of_arm in effects["arms"].values()]
    factor, unit = _unit(metric)
    cells = [_cell(each["mean"], factor, f"SD {number(each['sd'], '.2f', factor)}") for each in of_arms]
    return {"title": _TITLES[metric].title, "unit": unit, "cells": cells}


def _contrast_row(effects: Effects, trait: str, metric: MetricName) -> dict[str, Any]:
    words = effects["traits"][trait]
    factor, unit = _unit(metric)
    cells = []
    for of_arm in effects["arms"].values():
        contrast = of_arm[metric]["contrast"][trait]
        adjusted = contrast["p_adjusted"]
        cells.append(_cell(contrast, factor, sure=adjusted is not None and adjusted < 1 - LEVEL))
    title = f"{words['title']}: {words['high']} less {words['low']}"
    return {"title": title, "unit": f"{_TITLES[metric].title}, {unit}", "cells": cells}


def _harm_rows(effects: Effects) -> list[dict[str, Any]]:
    harm = effects["harm"].values()
    share = [cell(number(of["worse"], ".1f", 100.0)) for of in harm]
    better = [cell(number(of["better"], ".1f", 100.0)) for of in harm]
    lost = [cell(number(of["lost"], ".2f")) for of in harm]
    return [
        {"title": "Worse off", "unit": "% of users", "cells": share},
        {"title": "Better off", "unit": "% of users", "cells": better},
        {"title": "Net", "unit": "better less worse, % of users", "cells": [_cell(of["net"], 100.0) for of in harm]},
        {"title": "Mean loss of who is worse off", "unit": "min per user and day", "cells": lost},
    ]


def _least_row(effects: Effects, trait: str) -> dict[str, Any]:
    """Of a trait's thirds the one that fares worst in each arm."""
    words = effects["traits"][trait]
    cells = []
    for of_arm in effects["harm"].values():
        nets = [third["net"]["value"] for third in of_arm["thirds"][trait]]
        known = [(net, k) for k, net in enumerate(nets) if net is not None]
        if not known:
            cells.append(cell(UNKNOWN))
            continue
        _, worst = min(known)
        cells.append(_cell(of_arm["thirds"][trait][worst]["net"], 100.0, THIRDS[worst]))
    unit = f"{words['low']} \N{RIGHTWARDS ARROW} {words['high']}"
    return {"title": words["title"], "unit": unit, "cells": cells}


def _unit(metric: MetricName) -> tuple[float, str]:
    """What values are multiplied by, and the unit that they then have."""
    unit = _TITLES[metric].unit
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)


def _cell(found: Estimate | Contrast, factor: float, *more: str, sure: bool | None = None) -> dict[str, Any]:
    """Shaded where ``sure``, or, if not given, where the interval leaves 0 out."""
    value, low, high = ends(found)
    if value is None:
        return cell(UNKNOWN)
    alone = low is not None and high is not None and (low > 0 or high < 0)
    interval = "" if low is None or high is None else f"[{_signed(factor * low)}, {_signed(factor * high)}]"
    return cell(_signed(factor * value), interval, *more, sure=alone if sure is None else sure)


def _signed(value: float) -> str:
    return number(value, "+.1f" if abs(value) >= 10 else "+.2f")
