"""The report's section on single users' effects: tables in words, from ``results["effects"]``."""

from typing import Any

from experiments.inference.multiplicity import holm
from experiments.measures.effects import EFFECTS, HARM_SHARE, THIRDS
from experiments.measures.metrics import METRICS
from experiments.measures.significance import p_behind, significant, too_few
from experiments.reporting.html import cell
from experiments.reporting.text import UNKNOWN, ends, number
from experiments.results_schema import Contrast, Effects, Estimate, MetricName, Results

_TITLES = {metric.name: metric for metric in METRICS}


def effects_section(results: Results) -> dict[str, Any] | None:
    """What the template shows, or None where users' own effects are not known.

    A cell is ``sure`` where its p-value, adjusted for all that were tested together, is below .05: of a mean that of
    the same metric's lift, so that both tables agree; of a contrast its own; of a net, one an arm, its own; of a
    trait's lowest third that over all traits' thirds (Holm), of which it was picked. With too few users or days no
    cell is.

    Returns:
        ``{"vs", "harm_share", "arms", "few", "mean": rows, "harm": rows, "contrasts": rows, "least": rows}``; a row has
        ``title``, ``unit`` and ``cells``, see ``reporting.html.cell``.
    """
    effects = results.get("effects")
    if effects is None or not effects["arms"]:
        return None
    few = too_few(results)
    rows = {
        "mean": [_mean_row(results, effects, metric) for metric in EFFECTS],
        "harm": _harm_rows(effects),
        "contrasts": [_contrast_row(effects, trait, metric) for trait in effects["traits"] for metric in EFFECTS],
        "least": [_least_row(effects, trait) for trait in effects["traits"]],
    }
    for each in (each for of_kind in rows.values() for row in of_kind for each in row["cells"]):
        each["sure"] = each["sure"] and not few
    harm_share = f"{100 * HARM_SHARE:g}"
    return {"vs": effects["vs"], "harm_share": harm_share, "arms": list(effects["arms"]), "few": few, **rows}


def _mean_row(results: Results, effects: Effects, metric: MetricName) -> dict[str, Any]:
    factor, unit = _unit(metric)
    cells = []
    for arm, of_arm in effects["arms"].items():
        each, lift = of_arm[metric], results["lifts"][arm][metric]
        different = lift["vs"] == effects["vs"] and significant(lift["p_adjusted"])
        cells.append(_cell(each["mean"], factor, different, f"SD {number(each['sd'], '.2f', factor)}"))
    return {"title": _TITLES[metric].title, "unit": unit, "cells": cells}


def _contrast_row(effects: Effects, trait: str, metric: MetricName) -> dict[str, Any]:
    words = effects["traits"][trait]
    factor, unit = _unit(metric)
    cells = []
    for of_arm in effects["arms"].values():
        contrast = of_arm[metric]["contrast"][trait]
        cells.append(_cell(contrast, factor, significant(contrast["p_adjusted"])))
    title = f"{words['title']}: {words['high']} minus {words['low']}"
    return {"title": title, "unit": f"{_TITLES[metric].title}, {unit}", "cells": cells}


def _harm_rows(effects: Effects) -> list[dict[str, Any]]:
    harm = effects["harm"].values()
    share = [cell(number(of["worse"], ".1f", 100.0)) for of in harm]
    better = [cell(number(of["better"], ".1f", 100.0)) for of in harm]
    lost = [cell(number(of["lost"], ".2f")) for of in harm]
    net = [_cell(of["net"], 100.0, significant(p_behind(of["net"]))) for of in harm]
    return [
        {"title": "Worse off", "unit": "% of users", "cells": share},
        {"title": "Better off", "unit": "% of users", "cells": better},
        {"title": "Net", "unit": "better less worse, % of users", "cells": net},
        {"title": "Mean loss of users worse off", "unit": "min per user and day", "cells": lost},
    ]


def _least_row(effects: Effects, trait: str) -> dict[str, Any]:
    """Of a trait's thirds the one with the lowest net in each arm."""
    words = effects["traits"][trait]
    cells = []
    for of_arm in effects["harm"].values():
        nets = [third["net"] for third in of_arm["thirds"][trait]]
        known = [(net["value"], k) for k, net in enumerate(nets) if net["value"] is not None]
        if not known:
            cells.append(cell(UNKNOWN))
            continue
        _, worst = min(known)
        adjusted = holm([p_behind(third["net"]) for of_trait in of_arm["thirds"].values() for third in of_trait])
        different = significant(adjusted[list(of_arm["thirds"]).index(trait) * len(THIRDS) + worst])
        cells.append(_cell(nets[worst], 100.0, different, THIRDS[worst]))
    unit = f"{words['low']} \N{RIGHTWARDS ARROW} {words['high']}"
    return {"title": words["title"], "unit": unit, "cells": cells}


def _unit(metric: MetricName) -> tuple[float, str]:
    """What values are multiplied by, and the unit that they then have."""
    unit = _TITLES[metric].unit
    return (100.0, "percentage points") if unit == "share" else (1.0, unit)


def _cell(estimate: Estimate | Contrast, factor: float, different: bool, *more: str) -> dict[str, Any]:
    value, low, high = ends(estimate)
    if value is None:
        return cell(UNKNOWN)
    interval = "" if low is None or high is None else f"[{_signed(factor * low)}, {_signed(factor * high)}]"
    return cell(_signed(factor * value), interval, *more, sure=different)


def _signed(value: float) -> str:
    return number(value, "+.1f" if abs(value) >= 10 else "+.2f")
