"""Comparisons that differ in one or two dials, joined: each arm's metrics at each value of a dial.

A dial is an entry of the config, such as ``world.semantic_alignment``, or a part of it that is replaced as a
whole, such as an agent's planner. Every place of the dials has the same worlds, so that places differ in
nothing else.
"""

import json
from collections.abc import Sequence
from typing import Any

from experiments.inference.worlds import OverWorlds, over_worlds
from experiments.measures.metrics import METRICS
from experiments.measures.results import plain
from experiments.results_schema import DialCell, Dialled, DialRow, JoinedLift, MetricName, OverWorldsRow, Results
from sim.errors import InvalidInput

MOST_DIALS = 2
"""More cannot be shown on one page."""

_Ends = tuple[float | None, float | None, float | None, float | None]  # value, low, high, p
_NOTHING: _Ends = (None, None, None, None)
_MISSING = "\N{EN DASH}"


def numeric(values: Sequence[Any]) -> bool:
    """Whether a dial's places are numbers, which lie on an axis at their value."""
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def dials_of(configs: Sequence[dict[str, Any]]) -> list[DialRow]:
    """The dials in which configs differ, the seed apart; the one with most places first.

    An entry whose value follows from another's in all configs is no dial of its own. Where ``_target_``
    differs, the part that it stands in is one entry.

    Raises:
        InvalidInput: the arms differ, or more than ``MOST_DIALS`` entries do.
    """
    arms = [config.get("experiment", {}).get("arms") for config in configs]
    if any(each != arms[0] for each in arms):
        other = next(each for each in arms if each != arms[0])
        raise InvalidInput("experiment.arms", other, f"must be the same in all runs; another has {arms[0]}")
    columns = _differing([{**config, "seed": None} for config in configs], "")
    kept: dict[str, list[str]] = {}
    followers: dict[str, list[str]] = {}
    for entry in sorted(columns, key=lambda e: (-len(set(columns[e])), e.count("."), e)):
        leader = next((each for each in kept if _follows(columns[entry], kept[each])), None)
        if leader is None:
            kept[entry] = columns[entry]
        else:
            followers.setdefault(leader, []).append(entry)
    if len(kept) > MOST_DIALS:
        raise InvalidInput("config", ", ".join(kept), f"must differ in at most {MOST_DIALS} entries, the seed apart")
    return [_dial(entry, column, sorted(followers.get(entry, []))) for entry, column in kept.items()]


def place_of(config: dict[str, Any], dials: Sequence[DialRow]) -> tuple[int, ...]:
    """Where a config stands on each dial."""
    at = []
    for dial in dials:
        code = _code(_entry(config, dial["entry"]))
        at.append([_code(value) for value in dial["values"]].index(code))
    return tuple(at)


def join_dials(runs: dict[str, Results]) -> Dialled:
    """Join comparisons (path -> results) that differ in one or two dials, and in the seed.

    With several worlds an interval is the t interval over them (``over_worlds``), with one it is that world's interval
    over users.

    Raises:
        InvalidInput: no dial, too many, a world twice in one place, or places with different worlds.
    """
    dials = dials_of([results["config"] for results in runs.values()])
    if not dials:
        raise InvalidInput("folder", ", ".join(runs), "must differ in an entry of the config other than the seed")
    places: dict[tuple[int, ...], dict[int, str]] = {}
    for path, results in runs.items():
        place, seed = place_of(results["config"], dials), results["config"]["seed"]
        worlds = places.setdefault(place, {})
        if seed in worlds:
            raise InvalidInput("seed", seed, f"must not come twice in one place: {worlds[seed]} and {path}")
        worlds[seed] = path
    seeds = sorted({seed for worlds in places.values() for seed in worlds})
    for place, worlds in places.items():
        if sorted(worlds) != seeds:
            where = ", ".join(f"{dial['entry']}={dial['labels'][at]}" for dial, at in zip(dials, place, strict=True))
            raise InvalidInput("seed", sorted(worlds), f"must be {seeds} at {where}, as elsewhere: is the sweep done?")
    cells = [
        _cell(place, [(path, runs[path]) for _, path in sorted(places[place].items())]) for place in sorted(places)
    ]
    dialled: Dialled = plain(
        {
            "dials": dials,
            "seeds": seeds,
            "intervals": "worlds" if len(seeds) > 1 else "users",
            "cells": cells,
        }
    )
    return dialled


def _cell(place: tuple[int, ...], runs: list[tuple[str, Results]]) -> DialCell:
    """One place of the dials: every arm's metrics over its worlds."""
    each = [results for _, results in runs]
    names = [metric.name for metric in METRICS]

    def value(arm: str, metric: MetricName) -> OverWorldsRow:
        cells = [results["arms"].get(arm, {}).get(metric) for results in each]
        return _over([(c["value"], c["low"], c["high"], None) if c else _NOTHING for c in cells])

    def lift(arm: str, metric: MetricName) -> JoinedLift:
        cells = [results["lifts"].get(arm, {}).get(metric) for results in each]
        over = _over([(c["relative"], c["low"], c["high"], c["p"]) if c else _NOTHING for c in cells])
        return {"vs": each[0]["lifts"][arm][metric]["vs"], **over}

    return {
        "at": list(place),
        "runs": [path for path, _ in runs],
        "arms": {arm: {name: value(arm, name) for name in names} for arm in each[0]["arms"]},
        "lifts": {arm: {name: lift(arm, name) for name in names} for arm in each[0]["lifts"]},
    }


def _over(cells: list[_Ends]) -> OverWorldsRow:
    """Several worlds' values as one; one world's is its own, with the interval over its users."""
    if len(cells) > 1:
        return over_worlds([value for value, *_ in cells]).row()
    value, low, high, p = cells[0]
    return OverWorlds(value, low, high, p, None, None, (value,)).row()


def _differing(parts: list[Any], path: str) -> dict[str, list[str]]:
    """Entries in which (nested) configs differ -> each config's value as sorted JSON."""
    if all(isinstance(part, dict) for part in parts):
        targets = {part.get("_target_") for part in parts}
        if len(targets) == 1:
            keys = sorted({key for part in parts for key in part})
            differing: dict[str, list[str]] = {}
            for key in keys:
                differing |= _differing([part.get(key) for part in parts], f"{path}.{key}" if path else str(key))
            return differing
    codes = [_code(part) for part in parts]
    return {path: codes} if len(set(codes)) > 1 else {}


def _follows(column: list[str], leader: list[str]) -> bool:
    """Whether one entry's value is the same wherever the other's is."""
    pairs = set(zip(leader, column, strict=True))
    return len(pairs) == len(set(leader))


def _dial(entry: str, column: list[str], moved_too: list[str]) -> DialRow:
    values = [json.loads(code) for code in dict.fromkeys(column)]
    if numeric(values):
        values.sort()
    return {"entry": entry, "moved_too": moved_too, "values": values, "labels": _labels(values)}


def _labels(values: list[Any]) -> list[str]:
    """Short names; a part that is replaced as a whole goes by its class, and by what else tells it apart."""
    names = [_label(value) for value in values]
    for name in {name for name in names if names.count(name) > 1}:
        alike = [i for i, each in enumerate(names) if each == name]
        for entry, column in _differing([values[i] for i in alike], "").items():
            for i, code in zip(alike, column, strict=True):
                names[i] += f" {entry}={json.loads(code)}"
    return names


def _label(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("_target_", "")).rpartition(".")[2].removesuffix("Planner").removesuffix("Ranker") or "{}"
    if isinstance(value, float):
        return f"{value:g}"
    return _MISSING if value is None else str(value)


def _code(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _entry(config: Any, path: str) -> Any:
    for key in path.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config
