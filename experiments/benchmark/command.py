"""``interestlab benchmark PART``: speed, as ratios of medians measured side by side in one run."""

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.benchmark.agents import agent_rows
from experiments.benchmark.llm import llm_rows
from experiments.benchmark.llm_lookup import lookup_rows
from experiments.benchmark.offline import offline_rows
from experiments.benchmark.simulator import simulator_rows
from experiments.study.study import resolved
from sim.files import write_json
from sim.hidden.config import WorldConfig, from_mapping
from sim.records import Count, Positive, Whole, checked


def benchmark_simulator(config: DictConfig) -> list[dict[str, Any]]:
    """The rows of ``benchmark simulator``; ``InvalidInput`` where an entry is out of range."""
    plain = resolved(config)
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    users, items, interests = (checked(list[Count], plain.get(name), name) for name in ("users", "items", "interests"))
    seed, slots = checked(Whole, plain.get("seed"), "seed"), checked(Count, plain.get("slots"), "slots")
    seconds = checked(Positive, plain.get("seconds"), "seconds")
    return simulator_rows(world, seed, users, items, interests, slots, seconds)


def write_rows(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write ``benchmark.json`` into ``folder``, and print a line a row."""
    path = folder / "benchmark.json"
    write_json(path, {"machine": f"{platform.machine()}, Python {platform.python_version()}", "rows": rows})
    for row in rows:
        against = f", {row['ratio']:.2f}x {row['against']}" if row["against"] else ""
        bound = f", {row['of_bound']:.0%} of its bound" if row["bound"] else ""
        slowest = f", p99 {row['p99']:.3g}" if "p99" in row else ""
        value = f"{row['value']:,.0f}" if row["value"] >= 100 else f"{row['value']:.3g}"
        print(f"{row['case']}: {value} {row['unit']}{slowest}{against}{bound}")
    print(f"benchmark: {path.resolve()}")


def run(config: DictConfig, folder: Path, words: Sequence[str]) -> None:
    """The command; its word names the part."""
    rows: dict[str, Callable[[DictConfig], list[dict[str, Any]]]] = {
        "simulator": benchmark_simulator,
        "agents": agent_rows,
        "llm": lambda config: llm_rows(config) + lookup_rows(config.interests),
        "offline": offline_rows,
    }
    write_rows(rows[words[0]](config), folder)
