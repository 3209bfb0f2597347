"""``interestlab benchmark PART``: speed, as ratios of medians measured side by side in one run."""

import platform
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.benchmarks.agents import agent_rows
from experiments.benchmarks.llm import llm_rows
from experiments.benchmarks.llm_lookup import lookup_rows
from experiments.benchmarks.offline import offline_rows
from experiments.benchmarks.simulator import simulator_rows
from experiments.command import clear_errors, run_command
from experiments.study import resolved
from sim.config import WorldConfig, from_mapping
from sim.errors import InvalidInput
from sim.files import write_json
from sim.records import Count, Positive, Whole, checked

PARTS = ("simulator", "agents", "llm", "offline")


def benchmark_simulator(config: DictConfig) -> list[dict[str, Any]]:
    """The rows of ``benchmark simulator``.

    Raises:
        InvalidInput: constants of the world out of range.
    """
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


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark_simulator")
def _simulator(config: DictConfig) -> None:
    with clear_errors("benchmark"):
        write_rows(benchmark_simulator(config), Path(HydraConfig.get().runtime.output_dir))


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark_agents")
def _agents(config: DictConfig) -> None:
    with clear_errors("benchmark"):
        write_rows(agent_rows(config), Path(HydraConfig.get().runtime.output_dir))


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark_llm")
def _llm(config: DictConfig) -> None:
    with clear_errors("benchmark"):
        rows = llm_rows(config) + lookup_rows(config.interests)
        write_rows(rows, Path(HydraConfig.get().runtime.output_dir))


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark_offline")
def _offline(config: DictConfig) -> None:
    with clear_errors("benchmark"):
        write_rows(offline_rows(config), Path(HydraConfig.get().runtime.output_dir))


def main() -> None:
    """Entry point of the command; its first word names the part: ``benchmark simulator``."""
    part = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    if part is None and {"-h", "--help"} & set(sys.argv):
        print(
            "usage: interestlab benchmark simulator|agents|llm|offline [overrides]; interestlab benchmark agents --help"
        )
        return
    if part not in PARTS:
        with clear_errors("benchmark"):
            raise InvalidInput("part", part, f"must be one of {', '.join(PARTS)}: interestlab benchmark agents")
    tasks = {"simulator": _simulator, "agents": _agents, "llm": _llm, "offline": _offline}
    run_command("benchmark", tasks[part])


if __name__ == "__main__":
    main()
