"""``interestlab certify``: which of eleven stylised facts a world shows, as certificate.html and certificate.json."""

import json
import math
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from experiments.certificate.facts import judge
from experiments.certificate.figures import figures_of
from experiments.certificate.life import WARM_UP_DAYS
from experiments.certificate.measures import Measures, measure
from experiments.certificate.page import summary, write_certificate
from experiments.command import clear_errors, run_command
from experiments.figures.files import save_figure
from experiments.inference.worlds import t_interval
from experiments.stages import check_cache_dir, run_stage
from experiments.study import Runtime, resolved
from experiments.workers import pool_of
from sim.authored import authored_digest
from sim.config import WorldConfig, from_mapping
from sim.files import write_json
from sim.records import Count, Whole, checked, limits

_LEAST_DAYS = 14
_MEASURES = ("slates", "policies", "life", "consumption", "behaviour", "probes", "measures")
_CODE = (
    "sim",
    "agents/novelty.py",
    "experiments/metrics.py",
    "experiments/serving_day.py",
    *(f"experiments/certificate/{name}.py" for name in _MEASURES),
)


@dataclass(frozen=True)
class Certification:
    """What is certified, and how.

    Attributes:
        name: how the world is called.
        world: its constants.
        seeds: of the worlds.
        days: that each policy serves.
        cache_dir: where finished worlds are kept.
        workers: processes side by side; changes no result.
    """

    name: str
    world: WorldConfig
    seeds: tuple[int, ...]
    days: int
    cache_dir: Path
    workers: int


def check_certification(config: DictConfig, name: str) -> Certification:
    """Build a certification of the world called ``name`` from the composed config.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    plain = resolved(config)
    first = checked(Whole, plain.get("seed"), "seed")
    num = checked(Count, plain.get("seeds"), "seeds")
    days = checked(Annotated[int, limits(_LEAST_DAYS)], plain.get("days"), "days")
    workers = from_mapping(Runtime, plain.get("runtime"), "runtime").workers
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    cache_dir = check_cache_dir(plain.get("cache_dir"))
    return Certification(name, world, tuple(range(first, first + num)), days, cache_dir, workers)


def certify(certification: Certification, folder: Path) -> Path:
    """Measure all worlds and write certificate.html, certificate.json and the figures into ``folder``.

    Returns:
        The path of certificate.html.
    """
    worlds = _measured(certification)
    named = {key: [world[key] for world in worlds] for key in ("clusters", "volumes")}
    certificate = {
        "world": certification.name,
        "seeds": list(certification.seeds),
        "days": certification.days,
        "facts": judge([world["parts"] for world in worlds], certification.world),
        **{key: {name: _row([w[name] for w in rows]) for name in rows[0]} for key, rows in named.items()},
        "warm_up_days": WARM_UP_DAYS,
        "config": {**asdict(certification.world), "taxonomy": authored_digest(certification.world.taxonomy)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    figures = figures_of([world["curves"] for world in worlds])
    for number, figure in figures.items():
        save_figure(figure, folder / "figures", f"fact_{number}")
    page = write_certificate(certificate, figures, folder)
    write_json(folder / "certificate.json", certificate)
    for line in summary(certificate):
        print(line)
    return page


def _row(values: list[float]) -> dict[str, float | None]:
    numbers = zip(("value", "low", "high"), t_interval(values), strict=True)
    return {key: number if math.isfinite(number) else None for key, number in numbers}


def _measured(certification: Certification) -> list[Measures]:
    """Every world's measures, in the order of the seeds; ``workers`` worlds side by side."""
    worlds: dict[int, Measures] = {}
    with pool_of(certification.workers) as pool:
        jobs = {pool.submit(_measure_stage, certification, seed): seed for seed in certification.seeds}
        try:
            with tqdm(total=len(jobs), desc="certify", unit="world", dynamic_ncols=True) as bar:
                for job in as_completed(jobs):
                    worlds[jobs[job]] = job.result()
                    bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [worlds[seed] for seed in certification.seeds]


def _measure_stage(certification: Certification, seed: int) -> Measures:
    world = certification.world

    def make(folder: Path) -> None:
        write_json(folder / "measures.json", _with_none(measure(world, seed, certification.days)))

    config = {
        # The authored files' content counts, not where they are.
        "world": {**asdict(world), "taxonomy": authored_digest(world.taxonomy)},
        "seed": seed,
        "days": certification.days,
    }
    stage = run_stage(certification.cache_dir, "certify", make, config=config, inputs=[], code=_CODE)
    content: Measures = _with_nan(json.loads((stage.folder / "measures.json").read_text(encoding="utf-8")))
    return content


def _with_none(tree: Any) -> Any:
    """The same tree with None for numbers that are not defined, which JSON has no word for."""
    if isinstance(tree, dict):
        return {key: _with_none(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_none(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _with_nan(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _with_nan(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_nan(value) for value in tree]
    return math.nan if tree is None else tree


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="certify")
def _task(config: DictConfig) -> None:
    with clear_errors("certify"):
        hydra_config = HydraConfig.get().runtime
        certification = check_certification(config, str(hydra_config.choices["world"]))
        page = certify(certification, Path(hydra_config.output_dir))
    print(f"certificate: {page.resolve()}")


def main() -> None:
    """Entry point of the command."""
    run_command("certify", _task)


if __name__ == "__main__":
    main()
