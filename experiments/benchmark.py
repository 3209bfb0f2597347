"""``interestlab benchmark simulator``: how fast users respond, side by side with one user at a time."""

import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from experiments.command import clear_errors, run_command
from sim.config import WorldConfig, from_mapping
from sim.errors import InvalidInput
from sim.files import write_json
from sim.world import World

PARTS = ("simulator",)
ROUNDS = 5


def simulator_rows(
    config: WorldConfig, seed: int, users: list[int], slots: int, seconds: float
) -> list[dict[str, Any]]:
    """User-steps (one user, one slate) a second for batches of users, in turn, and ratios to the first.

    The cases take turns within each round, so that a change of the machine's speed hits all
    alike; each case's figure is the median over rounds.
    """
    world = World(config, seed)
    generator = np.random.default_rng(0)
    rates: dict[int, list[float]] = {size: [] for size in users}
    with tqdm(total=ROUNDS * len(users), desc="simulator", unit="case", dynamic_ncols=True) as bar:
        for _ in range(ROUNDS):
            for size in users:
                rates[size].append(_rate(world, generator, size, slots, seconds / ROUNDS))
                bar.update()
    first = statistics.median(rates[users[0]])
    return [
        {
            "part": "simulator",
            "case": f"{size} users, slates of {slots}, {config.num_items} items, {config.num_interests} interests",
            "value": statistics.median(rates[size]),
            "low": min(rates[size]),
            "high": max(rates[size]),
            "unit": "user-steps/s",
            "against": f"{users[0]} users",
            "ratio": statistics.median(rates[size]) / first,
            "bound": None,
            "of_bound": None,
        }
        for size in users
    ]


def _rate(world: World, generator: np.random.Generator, size: int, slots: int, seconds: float) -> float:
    """User-steps a second of ``World.respond`` over at least ``seconds``; every user is in their first slate."""
    user = np.arange(size)
    items = generator.integers(0, world.catalog.num_items, (size, slots))
    steps, spent = 0, 0.0
    while spent < seconds:
        world.begin_day(0)  # fresh sessions: tired users would leave after an item and be cheap
        start = time.perf_counter()
        world.respond(user, items, steps)
        spent += time.perf_counter() - start
        steps += 1
    return size * steps / spent


def benchmark(config: DictConfig, folder: Path) -> Path:
    """Measure, write ``benchmark.json`` into ``folder``, and print a line a row.

    Raises:
        InvalidInput: an unknown part, or constants of the world out of range.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if plain["part"] not in PARTS:
        raise InvalidInput("part", plain["part"], f"must be one of {', '.join(PARTS)}")
    plain["world"]["num_users"] = max([*plain["users"], plain["world"]["num_users"]])
    world = from_mapping(WorldConfig, plain["world"], "world")
    rows = simulator_rows(world, plain["seed"], plain["users"], plain["slots"], plain["seconds"])
    path = folder / "benchmark.json"
    write_json(path, {"machine": f"{platform.machine()}, Python {platform.python_version()}", "rows": rows})
    for row in rows:
        print(f"{row['case']}: {row['value']:,.0f} {row['unit']}, {row['ratio']:.1f}x {row['against']}")
    return path


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="benchmark")
def _task(config: DictConfig) -> None:
    with clear_errors("benchmark"):
        path = benchmark(config, Path(HydraConfig.get().runtime.output_dir))
    print(f"benchmark: {path.resolve()}")


def main() -> None:
    """Entry point of the command; a bare word names the part: ``benchmark simulator``."""
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        sys.argv[1] = f"part={sys.argv[1]}"
    run_command("benchmark", _task)


if __name__ == "__main__":
    main()
