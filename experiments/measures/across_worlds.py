"""Results of several worlds, joined: one world alone is no evidence.

Runs of the same comparison in worlds of other seeds are joined. The world is the unit: users of one
world share its catalog, its trends and the models that each arm trained.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.inference.users import error_behind
from experiments.inference.worlds import over_worlds
from experiments.measures.metrics import METRICS
from experiments.measures.results import plain
from experiments.results_schema import Estimate, Joined, JoinedLift, LiftRow, MetricName, OverWorldsRow, Results
from sim.errors import InvalidInput


def find_runs(folders: list[Path]) -> list[Path]:
    """The ``results.json`` of each folder, or of each of its subfolders where it is that of a sweep.

    Raises:
        InvalidInput: a folder holds no results.
    """
    paths = []
    for folder in folders:
        own = [folder / "results.json"] if (folder / "results.json").is_file() else []
        below = own or sorted(folder.glob("*/results.json"), key=lambda path: (len(path.parent.name), path))
        if not below:
            raise InvalidInput("folder", str(folder), "must be a comparison's folder, or a sweep's, with results.json")
        paths += below
    return paths


def read_results(path: Path) -> Results:
    """A ``results.json``; a metric that an earlier version did not have is unknown.

    Raises:
        InvalidInput: it is none.
    """
    try:
        results: Results = json.loads(path.read_text())
        if not {"config", "arms", "lifts"} <= set(results):
            raise ValueError
    except (ValueError, OSError, TypeError):
        raise InvalidInput("file", str(path), "must be the results.json of a finished comparison") from None
    for metric in METRICS:
        for values in results["arms"].values():
            values.setdefault(metric.name, {"value": None, "low": None, "high": None, "n": 0})
        for lifts in results["lifts"].values():
            lifts.setdefault(metric.name, LiftRow(relative=None, low=None, high=None, p=None, vs=None, p_adjusted=None))
    return results


def join(runs: dict[str, Results]) -> Joined:
    """Join comparisons (path -> results) that differ in nothing but the seed.

    With random effects where every world has an interval from its users (``over_worlds``).

    Raises:
        InvalidInput: fewer than two runs, the same seed twice, or settings that differ otherwise.
    """
    if len(runs) < 2:
        raise InvalidInput("folder", ", ".join(runs) or "none", "must be at least two runs, of different seeds")
    first_path, first = next(iter(runs.items()))
    seeds = [results["config"]["seed"] for results in runs.values()]
    for path, results in runs.items():
        entry = _difference({**first["config"], "seed": 0}, {**results["config"], "seed": 0})
        if entry is not None:
            raise InvalidInput(entry, path, f"must be as in {first_path}: only the seed may differ")
    if len(set(seeds)) < len(seeds):
        raise InvalidInput("seed", seeds, "must be different: the same world twice is no more evidence")
    each = list(runs.values())
    names = [metric.name for metric in METRICS]

    def value(arm: str, metric: MetricName) -> OverWorldsRow:
        cells = [results["arms"][arm][metric] for results in each]
        return over_worlds([cell["value"] for cell in cells], _errors(cells)).row()

    def lift(arm: str, metric: MetricName) -> JoinedLift:
        cells = [results["lifts"][arm][metric] for results in each]
        return {"vs": cells[0]["vs"], **over_worlds([cell["relative"] for cell in cells], _errors(cells)).row()}

    arms = {arm: {name: value(arm, name) for name in names} for arm in first["arms"]}
    lifts = {arm: {name: lift(arm, name) for name in names} for arm in first["lifts"]}
    config = {key: value for key, value in first["config"].items() if key != "seed"}
    joined: Joined = plain({"seeds": seeds, "config": config, "arms": arms, "lifts": lifts})
    return joined


def _errors(cells: Sequence[Estimate | LiftRow]) -> list[float | None]:
    """The standard errors behind intervals from users."""
    return [error_behind(cell["low"], cell["high"]) for cell in cells]


def _difference(one: Any, other: Any, path: str = "") -> str | None:
    """The first entry that two configs don't share."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            missing = object()
            entry = _difference(one.get(key, missing), other.get(key, missing), f"{path}.{key}" if path else str(key))
            if entry is not None:
                return entry
        return None
    return None if one == other else path
