"""Files of a fit: fit.json, fit.md, fit.html, the figure, and the world as a choice of ``world``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.datasets.dataset import LoggedDataset
from experiments.fit.constants import bounds_of
from experiments.fit.direct import constant_of
from experiments.fit.figures import fit_figure
from experiments.fit.fitting import Fit, distances
from experiments.fit.observation import Observation
from experiments.fit.reproduction import DIFFERS, reproduction, sentences, statistics_sentence
from experiments.fit.statistics import STATISTICS
from experiments.inference.worlds import LEAST_WORLDS, over_worlds
from experiments.measures.results import plain
from experiments.reporting.html import write_results
from experiments.reporting.text import between, estimate, markdown, number
from sim.files import write_json, write_text
from sim.hidden.config import WorldConfig

SIZES = ("num_users", "num_items", "num_interests")
NAME = "fitted"
"""What the world is called: ``world=fitted``."""


@dataclass(frozen=True)
class Source:
    """The data that a world was fitted to.

    Attributes:
        data: the data set.
        seen: what was looked at of it.
        policy: that simulated logs were collected under.
        seed: of the search.
        budget: evaluations that the search might have taken.
        direct: constants that were estimated without a simulation.
    """

    data: LoggedDataset
    seen: Observation
    policy: str
    seed: int
    budget: int
    direct: dict[str, float]


def record(fit: Fit, source: Source) -> dict[str, Any]:
    """All results, as fit.json has them; docs/fit.md names the fields."""
    data, seen = source.data, source.seen
    first = source.seed + len(fit.search.jacobians)
    off = {"before": fit.differences(fit.lives_before), "after": fit.differences(fit.lives_after)}
    reached = reproduction(off["after"])
    return dict(
        plain(
            {
                "dataset": {
                    "name": data.name,
                    "source": data.source,
                    "users": seen.num_users,
                    "days": seen.num_days,
                    "impressions": len(seen.log),
                    "has": {"watch": seen.has_watch, "negatives": seen.has_negatives},
                },
                "policy": source.policy,
                "seed": source.seed,
                "worlds": list(range(first, first + len(fit.lives_after))),
                "search": {
                    "worlds": list(range(source.seed, first)),
                    "evaluations": fit.search.evaluations,
                    "budget": source.budget,
                    "budget_spent": fit.search.spent,
                    "distance": float(distances(fit.search.differences[None])[0]),
                },
                "distance": {name: _mean(distances(each).tolist()) for name, each in off.items()},
                "reproduction": asdict(reached),
                "sizes": {name: getattr(fit.fitted, name) for name in SIZES},
                "constants": _constants(fit, reached.reproduced),
                "direct": {
                    name: {"before": constant_of(fit.before, name), "estimate": value}
                    for name, value in source.direct.items()
                },
                "statistics": _statistics(fit, {name: each.mean(axis=0).tolist() for name, each in off.items()}),
            }
        )
    )


def _mean(values: list[float | None]) -> dict[str, Any]:
    estimate = over_worlds(values)
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "by_world": list(estimate.by_world)}


def _constants(fit: Fit, reproduced: bool) -> dict[str, Any]:
    identified, x = fit.identification, fit.search.x
    low, high = identified.interval(x)
    least, most = bounds_of(fit.constants, float("inf"))
    rows = {}
    for place, constant in enumerate(fit.constants):
        ends = [constant.value(float(each[place])) for each in (low, high)]
        rows[constant.name] = {
            "before": constant_of(fit.before, constant.name),
            "start": constant.start,
            "fitted": constant_of(fit.fitted, constant.name),
            "low": ends[0],
            "high": ends[1],
            "scale": constant.scale,
            "step": constant.step,
            "steps": float(x[place]),
            "error_steps": float(identified.error[place]),
            "precise": bool(identified.precise[place]),
            "identified": reproduced and bool(identified.precise[place]),
            "rise_alone": float(identified.alone[place]),
            "rise_refitted": float(identified.refitted[place]),
            "goes_with": fit.constants[int(identified.like[place])].name,
            "correlation": float(identified.correlation[place]),
            "at_limit": bool(min(x[place] - least[place], most[place] - x[place]) < 1e-3),
        }
    return rows


def _statistics(fit: Fit, off: dict[str, list[float]]) -> dict[str, Any]:
    place = {name: k for k, name in enumerate(fit.target.names)}
    rows = {}
    for each in STATISTICS:
        name, k = each.name, place.get(each.name)
        after = None if k is None else off["after"][k]
        rows[name] = {
            "group": each.group,
            "title": each.title,
            "unit": each.unit,
            "fitted": k is not None,
            "logged": fit.target.logged[name],
            "error": fit.target.error[name],
            "scale": None if k is None else float(fit.scale[k]),
            "before": _mean([life[name] for life in fit.lives_before]),
            "after": _mean([life[name] for life in fit.lives_after]),
            "off_before": None if k is None else off["before"][k],
            "off_after": after,
            "differs": after is not None and abs(after) > DIFFERS,
        }
    return rows


def summary(results: dict[str, Any]) -> list[str]:
    """Limits of the fitted world, in sentences."""
    distance, statistics, constants = results["distance"], results["statistics"], results["constants"]
    before, after = (distance[when]["mean"] for when in ("before", "after"))
    lines = [
        f"Distance to the log: {before:.2f} standard errors before, {after:.2f} after, in {len(results['worlds'])} "
        "worlds that the search did not see; 1 is what another world of the log's own constants would have."
    ]
    lines += sentences(results)
    ends = [name for name, row in constants.items() if row["at_limit"]]
    if ends:
        lines.append(f"At the end of what the world allows: {', '.join(ends)}.")
    missing = [row["title"] for row in statistics.values() if row["logged"] is None]
    if missing:
        lines.append(f"Not in this log: {'; '.join(missing)}.")
    if results["search"]["budget_spent"]:
        lines.append(f"The search ended with its budget, {results['search']['budget']} points; more may come closer.")
    lines.append(
        f"Simulated logs were collected under the policy {results['policy']}; if yours was not, the fitted constants "
        "compensate for the difference."
    )
    return lines


def tables(results: dict[str, Any]) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Heads and rows of the constants' and the statistics' tables."""
    heads = ["constant", "before", "start", "fitted", "95% interval"]
    heads += ["rise, alone", "rise, others refitted", "identified"]
    constants = [
        [
            name,
            number(row["before"]),
            number(row["start"]),
            number(row["fitted"]),
            between(row["low"], row["high"]),
            f"{row['rise_alone']:.3g}",
            f"{row['rise_refitted']:.3g}",
            _identified(row, results["reproduction"]["enough_worlds"]),
        ]
        for name, row in results["constants"].items()
    ]
    for name, row in results["direct"].items():
        if name not in results["constants"]:
            value = number(row["estimate"])
            constants.append([name, number(row["before"]), value, value, "from the log", "", "", "directly"])
    columns = ["statistic", "unit", "logged", "standard error", "before", "off", "after", "off"]
    statistics = [
        [
            row["title"],
            row["unit"],
            number(row["logged"]),
            number(row["error"]),
            estimate(row["before"]),
            number(row["off_before"], "+.1f"),
            estimate(row["after"]),
            number(row["off_after"], "+.1f"),
        ]
        for row in results["statistics"].values()
    ]
    return {"constants": (heads, constants), "statistics": (columns, statistics)}


def _identified(row: dict[str, Any], enough_worlds: bool) -> str:
    if not row["precise"]:
        return f"no; goes with {row['goes_with']} ({row['correlation']:+.2f})"
    if row["identified"]:
        return "yes"
    return f"no; precise, but the world {'does not' if enough_worlds else 'is not known to'} reproduce the log"


def write_world(world: WorldConfig, results: dict[str, Any], folder: Path) -> Path:
    """Write the world as ``world/fitted.yaml``, which ``--config-dir FOLDER world=fitted`` chooses in any command.

    Returns:
        The path.
    """
    content = asdict(world)
    if world.clusters.level_2 == world.num_interests:
        content["clusters"]["level_2"] = "${world.num_interests}"  # as in conf/world/base.yaml
    data = results["dataset"]
    vague = [name for name, row in results["constants"].items() if not row["identified"]]
    lines = [
        f"A world fitted to {data['name']!r}: {data['users']:,} users, {data['days']} days, {data['impressions']:,} "
        "impressions.",
        f"Distance {results['distance']['before']['mean']:.2f} before, "
        f"{results['distance']['after']['mean']:.2f} after, "
        f"under policy {results['policy']!r}; see fit.html.",
        f"Searched for: {', '.join(results['constants'])}.",
        f"Not identified: {', '.join(vague) or 'none'}.",
        statistics_sentence(results, f"{results['reproduction']['worlds']}; fit.worlds={LEAST_WORLDS}"),
    ]
    head = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    (folder / "world").mkdir(parents=True, exist_ok=True)
    path = folder / "world" / f"{NAME}.yaml"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False))
    return path


def write_fit(fit: Fit, source: Source, folder: Path) -> Path:
    """Write everything into ``folder``, fit.json last; print the summary.

    Returns:
        The path of fit.html.
    """
    results = record(fit, source)
    folder.mkdir(parents=True, exist_ok=True)
    write_world(fit.fitted, results, folder)
    lines, named = summary(results), tables(results)
    text = [f"# A world fitted to {results['dataset']['name']}\n\n", *(f"- {line}\n" for line in lines)]
    for title, (heads, rows) in named.items():
        text.append(f"\n## {title.capitalize()}\n\n{markdown(heads, rows, names=2 if title == 'statistics' else 1)}")
    content = {"results": results, "summary": lines, "tables": named, "differs": DIFFERS}
    figures, narrow = ({"fit": fit_figure(results, phone)} for phone in (False, True))
    page = write_results(folder, "fit", content, figures, "".join(text), narrow)
    write_json(folder / "fit.json", results)
    for line in lines:
        print(line)
    return page
