"""``interestlab fit``: bring your own world. Its constants fitted to a log of yours, and how close that comes."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from experiments.command import clear_errors, run_command
from experiments.datasets.dataset import LoggedDataset
from experiments.fitting.constants import check_constants
from experiments.fitting.direct import direct_constants, sized, with_constants
from experiments.fitting.fitting import Fit, fit, target_of
from experiments.fitting.lives import POLICIES, PRODUCTION, Lives, Setting
from experiments.fitting.observation import LEAST_DAYS, LEAST_USERS, observed_dataset
from experiments.fitting.report import Source, write_fit
from experiments.fitting.search import least_evaluations
from experiments.stages import check_cache_dir
from experiments.study import build_agent
from experiments.workers import pool_of
from sim.config import WorldConfig, from_mapping
from sim.errors import InvalidInput
from sim.random import RandomStream

_LEAST = {"users": LEAST_USERS, "days": LEAST_DAYS, "items": 50, "search_worlds": 1, "worlds": 2, "bootstrap": 10}
_NUMBERS = ("tolerance", "most_steps", "pull")


@dataclass(frozen=True)
class Fitting:
    """What is fitted to what, and how.

    Attributes:
        seed: of the search's world.
        world: where constants start.
        settings: ``fit`` of the config, checked.
        production: config of the production recommender.
        dataset: folder of the log.
        cache_dir: where lives are kept.
        workers: lives side by side.
    """

    seed: int
    world: WorldConfig
    settings: dict[str, Any]
    production: dict[str, Any]
    dataset: Path
    cache_dir: Path
    workers: int


def check_fitting(config: DictConfig) -> Fitting:
    """Build a fitting from the composed config; the data set itself is not read.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    settings, workers = plain["fit"], plain["runtime"]["workers"]
    world = from_mapping(WorldConfig, plain["world"], "world")
    least_points = least_evaluations(len(check_constants(settings["constants"], settings["only"], world)))
    whole = [("seed", plain["seed"], 0), ("runtime.workers", workers, 1)]
    whole += [(f"fit.{name}", settings[name], least) for name, least in _LEAST.items()]
    whole.append(("fit.evaluations", settings["evaluations"], least_points))  # three a constant, and two
    for entry, value, least in whole:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidInput(entry, value, f"must be a whole number, at least {least}")
    for name in _NUMBERS:
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise InvalidInput(f"fit.{name}", value, "must be a number above 0")
    if settings["policy"] not in (*POLICIES, PRODUCTION):
        expected = f"must be one of {', '.join((*POLICIES, PRODUCTION))}"
        raise InvalidInput("fit.policy", settings["policy"], expected)
    if settings["dataset"] is None:
        raise InvalidInput("fit.dataset", None, "must be the folder of a logged data set, with its dataset.json")
    if settings["policy"] == PRODUCTION:
        build_agent(plain["production"], PRODUCTION)  # one that cannot be made should be known before anything runs
    cache_dir = check_cache_dir(str(plain["cache_dir"]))
    dataset = Path(str(settings["dataset"])).expanduser()
    return Fitting(plain["seed"], world, settings, plain["production"], dataset, cache_dir, workers)


def run_fit(fitting: Fitting, folder: Path) -> Path:
    """Fit, and write fit.html, fit.json, fit.md, world/fitted.yaml and the figure into ``folder``.

    Returns:
        The path of fit.html.

    Raises:
        InvalidInput: the log is missing, damaged, or has nothing to fit to.
    """
    settings = fitting.settings
    stream = RandomStream(fitting.seed, "fit")
    data = LoggedDataset.read(fitting.dataset)
    seen = observed_dataset(data, settings["days"], settings["users"], stream)
    before = sized(fitting.world, data, seen, settings["items"])
    direct = direct_constants(before, data, seen)
    start = with_constants(before, direct)
    constants = check_constants(settings["constants"], settings["only"], start)
    target = target_of(data, seen, settings["bootstrap"], stream)
    setting = Setting(
        settings["policy"], fitting.production, seen.num_days, seen.has_watch, seen.has_negatives, fitting.cache_dir
    )
    total = settings["evaluations"] * settings["search_worlds"] + 2 * settings["worlds"]
    with _pool(fitting.workers) as pool, tqdm(total=total, desc="fit", unit="life", dynamic_ncols=True) as bar:
        found: Fit = fit(
            target,
            before,
            start,
            constants,
            Lives(setting, pool, bar.update),
            seed=fitting.seed,
            search_worlds=settings["search_worlds"],
            worlds=settings["worlds"],
            budget=settings["evaluations"],
            most_steps=float(settings["most_steps"]),
            pull=float(settings["pull"]),
            tolerance=float(settings["tolerance"]),
        )
    source = Source(data, seen, settings["policy"], fitting.seed, settings["evaluations"], direct)
    return write_fit(found, source, folder)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    if workers == 1:
        yield None
        return
    with pool_of(workers) as pool:
        yield pool


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="fit")
def _task(config: DictConfig) -> None:
    with clear_errors("fit"):
        folder = Path(HydraConfig.get().runtime.output_dir)
        page = run_fit(check_fitting(config), folder)
        print(f"report: {page.resolve()}")
        print(f"world:  interestlab compare --config-dir {folder.resolve()} world=fitted")


def main() -> None:
    """Entry point of the command."""
    run_command("fit", _task)


if __name__ == "__main__":
    main()
