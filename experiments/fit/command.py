"""``interestlab fit``: fit a world's constants to a log of one's own, and report how close it comes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from tqdm import tqdm

from agents.making import build_agent
from agents.processes import side_by_side
from experiments.datasets.dataset import LoggedDataset
from experiments.fit.constants import check_constants
from experiments.fit.direct import direct_constants, sized, with_constants
from experiments.fit.fitting import Fit, fit, target_of
from experiments.fit.lives import PRODUCTION, SimulationSettings, life
from experiments.fit.observation import LEAST_DAYS, LEAST_USERS, observed_dataset
from experiments.fit.report import Source, write_fit
from experiments.fit.search import least_evaluations
from experiments.fit.statistics import Statistics
from experiments.stages.stages import check_cache_dir
from experiments.study.study import Runtime, check_agent_config, resolved
from sim.hidden.config import WorldConfig, from_mapping
from sim.random import RandomStream
from sim.records import Count, Expected, Positive, Whole, checked, limits, record


@record
@dataclass(frozen=True)
class FitSettings:
    """``fit`` of conf/fit.yaml, which says what each entry means."""

    dataset: Annotated[str, Expected("must be the folder of a logged data set, with its dataset.json")]
    policy: Literal["greedy", "popular", "random", "production"]
    users: Annotated[int, limits(LEAST_USERS)]
    days: Annotated[int, limits(LEAST_DAYS)]
    items: Annotated[int, limits(50)]
    evaluations: Count
    search_worlds: Count
    worlds: Annotated[int, limits(2)]
    bootstrap: Annotated[int, limits(10)]
    tolerance: Positive
    most_steps: Positive
    pull: Positive
    only: Any
    constants: Any


@dataclass(frozen=True)
class Fitting:
    """The inputs of a fit.

    Attributes:
        seed: of the search's world.
        world: where constants start.
        settings: ``fit`` of the config, checked.
        production: config of the production recommender.
        dataset: folder of the log.
        cache_dir: where lives are kept.
        runtime: how many lives side by side, and where.
    """

    seed: int
    world: WorldConfig
    settings: FitSettings
    production: dict[str, Any]
    dataset: Path
    cache_dir: Path
    runtime: Runtime


def check_fitting(config: DictConfig) -> Fitting:
    """Build a fitting from the composed config, or raise ``InvalidInput``; the data set itself is not read."""
    plain = resolved(config)
    seed = checked(Whole, plain.get("seed"), "seed")
    runtime = from_mapping(Runtime, plain.get("runtime"), "runtime")
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    settings = from_mapping(FitSettings, plain.get("fit"), "fit")
    least_points = least_evaluations(len(check_constants(settings.constants, settings.only, world)))
    checked(Annotated[int, limits(least_points)], settings.evaluations, "fit.evaluations")  # three a constant, and two
    production = check_agent_config(plain.get("production"), PRODUCTION)
    if settings.policy == PRODUCTION:
        build_agent(production, PRODUCTION)  # so that one that cannot be made is reported before anything runs
    cache_dir = check_cache_dir(plain.get("cache_dir"))
    dataset = Path(settings.dataset).expanduser()
    return Fitting(seed, world, settings, production, dataset, cache_dir, runtime)


def run_fit(fitting: Fitting, folder: Path) -> Path:
    """Fit, and write fit.html, whose path is returned, fit.json, fit.md, world/fitted.yaml and the figure.

    Raises:
        InvalidInput: the log is missing, damaged, or has nothing to fit to.
    """
    settings = fitting.settings
    stream = RandomStream(fitting.seed, "fit")
    data = LoggedDataset.read(fitting.dataset)
    seen = observed_dataset(data, settings.days, settings.users, stream)
    before = sized(fitting.world, data, seen, settings.items)
    direct = direct_constants(before, data, seen)
    start = with_constants(before, direct)
    constants = check_constants(settings.constants, settings.only, start)
    target = target_of(data, seen, settings.bootstrap, stream)
    simulation = SimulationSettings(
        settings.policy, fitting.production, seen.num_days, seen.has_watch, seen.has_negatives, fitting.cache_dir
    )
    total = settings.evaluations * settings.search_worlds + 2 * settings.worlds
    with tqdm(total=total, desc="fit", unit="life", dynamic_ncols=True) as bar:

        def lives(worlds: list[tuple[WorldConfig, int]]) -> list[Statistics]:
            jobs = {number: partial(life, simulation, *each) for number, each in enumerate(worlds)}
            lived = {}
            runtime = fitting.runtime
            for number, of_life in side_by_side(jobs, runtime.workers, runtime.backend, keep=True):
                lived[number] = of_life
                bar.update()
            return [lived[number] for number in jobs]

        fitted: Fit = fit(
            target,
            before,
            start,
            constants,
            lives,
            seed=fitting.seed,
            search_worlds=settings.search_worlds,
            worlds=settings.worlds,
            budget=settings.evaluations,
            most_steps=settings.most_steps,
            pull=settings.pull,
            tolerance=settings.tolerance,
        )
    source = Source(data, seen, settings.policy, fitting.seed, settings.evaluations, direct)
    return write_fit(fitted, source, folder)


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {run_fit(check_fitting(config), folder).resolve()}")
    print(f"world:  interestlab compare --config-dir {folder.resolve()} world=fitted")
