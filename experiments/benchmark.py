"""``interestlab benchmark PART``: speed, as ratios of medians measured side by side in one run."""

import platform
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.benchmark_simulator import simulator_rows
from experiments.command import clear_errors, run_command
from sim.config import WorldConfig, from_mapping
from sim.errors import InvalidInput
from sim.files import write_json

PARTS = ("simulator",)


def benchmark(config: DictConfig, folder: Path) -> Path:
    """Measure, write ``benchmark.json`` into ``folder``, and print a line a row.

    Raises:
        InvalidInput: an unknown part, or constants of the world out of range.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if plain["part"] not in PARTS:
        raise InvalidInput("part", plain["part"], f"must be one of {', '.join(PARTS)}")
    world = from_mapping(WorldConfig, plain["world"], "world")
    sizes = (plain["users"], plain["items"], plain["interests"])
    rows = simulator_rows(world, plain["seed"], *sizes, plain["slots"], plain["seconds"])
    path = folder / "benchmark.json"
    write_json(path, {"machine": f"{platform.machine()}, Python {platform.python_version()}", "rows": rows})
    for row in rows:
        against = f", {row['ratio']:.2f}x {row['against']}" if row["against"] else ""
        bound = f", {row['of_bound']:.0%} of what memory allows" if row["bound"] else ""
        print(f"{row['case']}: {row['value']:,.0f} {row['unit']}{against}{bound}")
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
