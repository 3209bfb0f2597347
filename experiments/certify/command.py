"""``interestlab certify``: which stylised facts a world shows, as certificate.html and certificate.json."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.certify.facts import judge, numbers_of
from experiments.certify.figures import figures_of
from experiments.certify.measures import Measures
from experiments.certify.page import summary, write_certificate
from experiments.certify.schema import Certificate, Numbers
from experiments.certify.stage import measured
from experiments.live.reference_life import WARM_UP_DAYS
from experiments.stages.progress import with_bar
from experiments.stages.stages import check_cache_dir
from experiments.study.study import Runtime, resolved
from sim.files import write_json
from sim.hidden.authored import authored_digest
from sim.hidden.config import WorldConfig, from_mapping
from sim.records import Expected, Whole, checked, limits

_LEAST_DAYS = 14
_Worlds = Annotated[int, limits(2), Expected("must be a whole number, at least 2: intervals are over worlds")]


@dataclass(frozen=True)
class Certification:
    """What is certified, and how.

    Attributes:
        name: how the world is called.
        world: its constants.
        seeds: of the worlds.
        days: that each policy serves.
        cache_dir: where finished worlds are kept.
        workers: worlds side by side; changes no result.
        backend: where, see ``agents.processes``.
    """

    name: str
    world: WorldConfig
    seeds: tuple[int, ...]
    days: int
    cache_dir: Path
    workers: int
    backend: str


def check_certification(config: DictConfig, name: str) -> Certification:
    """Build a certification of the world called ``name`` from the composed config, or raise ``InvalidInput``."""
    plain = resolved(config)
    first = checked(Whole, plain.get("seed"), "seed")
    num = checked(_Worlds, plain.get("seeds"), "seeds")
    days = checked(Annotated[int, limits(_LEAST_DAYS)], plain.get("days"), "days")
    runtime = from_mapping(Runtime, plain.get("runtime"), "runtime")
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    cache_dir = check_cache_dir(plain.get("cache_dir"))
    seeds = tuple(range(first, first + num))
    return Certification(name, world, seeds, days, cache_dir, runtime.workers, runtime.backend)


def certify(certification: Certification, folder: Path) -> Path:
    """Measure all worlds and write certificate.html, certificate.json and the figures into ``folder``.

    Returns:
        The path of certificate.html.
    """
    worlds = _measured(certification)
    certificate: Certificate = {
        "world": certification.name,
        "seeds": list(certification.seeds),
        "days": certification.days,
        "facts": judge([world["parts"] for world in worlds], certification.world),
        "clusters": _over_worlds([world["clusters"] for world in worlds]),
        "volumes": _over_worlds([world["volumes"] for world in worlds]),
        "warm_up_days": 0 if certification.world.prior.days else WARM_UP_DAYS,
        "config": {**asdict(certification.world), "taxonomy": authored_digest(certification.world.taxonomy)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    page = write_certificate(certificate, figures_of([world["curves"] for world in worlds]), folder)
    write_json(folder / "certificate.json", certificate)
    for line in summary(certificate):
        print(line)
    return page


def _over_worlds(worlds: list[dict[str, float]]) -> dict[str, Numbers]:
    return {name: numbers_of([world[name] for world in worlds]) for name in worlds[0]}


def _measured(certification: Certification) -> list[Measures]:
    """Every world's measures, in the order of the seeds; ``workers`` worlds side by side."""
    given = certification
    jobs = {seed: partial(measured, given.world, seed, given.days, given.cache_dir) for seed in given.seeds}
    return list(with_bar(jobs, given.workers, given.backend, "certify", "world").values())


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    certification = check_certification(config, str(HydraConfig.get().runtime.choices["world"]))
    print(f"certificate: {certify(certification, folder).resolve()}")
