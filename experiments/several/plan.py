"""What ``interestlab paper`` and ``interference`` run: variants of one comparison, each in several worlds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from omegaconf import DictConfig, OmegaConf, open_dict

from agents.llm.weights import model_digest
from experiments.compare.command import compare
from experiments.llm.arms import settings_by_arm
from experiments.plugins import outside_digests
from experiments.stages.stages import stage_digest, world_content
from experiments.study.described import described
from experiments.study.study import Study, check_study, resolved
from sim.errors import InvalidInput
from sim.records import Count, Different, Expected, Name, Whole, checked, from_mapping, record

MAIN, TWIN, ALPHA_0, NOTHING_TO_FIND, A_A, CURATION = (
    "main",
    "twin",
    "alpha_0",
    "no_dormant_no_satiation",
    "a_a",
    "curation",
)
"""The variants that claims and controls read."""

_OF_VARIANTS = ("worlds", "tables_only")


Entries = Annotated[dict[str, Any], Expected("must be entries such as world.num_users: 500")]

Seeds = Annotated[
    tuple[Whole, ...],
    MinLen(2),
    Different,
    Expected("must be a list of two or more different whole numbers, such as [0,1]"),
]


@record
@dataclass(frozen=True)
class PlanSettings:
    """The entry of a command that runs variants of a comparison.

    Attributes:
        seeds: of the worlds.
        variants: what is different in each, by its name; and ``_OF_VARIANTS``.
    """

    seeds: Seeds
    variants: dict[Name, Entries]


_model_digest = cache(model_digest)  # gigabytes, which every comparison of a run has in common


@dataclass(frozen=True)
class Comparison:
    """One variant in one world.

    Attributes:
        variant: its name.
        seed: of the world.
        config: of ``interestlab compare``, resolved.
        folder: where its report and results go.
        tables_only: whether nobody is served: the language models' tables are all that is wanted.
    """

    variant: str
    seed: int
    config: dict[str, Any]
    folder: Path
    tables_only: bool

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        return f"{self.variant} {self.seed}"

    def digest(self) -> str:
        """Hash of what its results rest on: the config, but for where and how the work is done, our code, and files.

        Files are those of the world's interests, of agents from packages of others, and of language models.
        """
        study = self.study
        models = {Path(each.model) for each in settings_by_arm(study, self.config).values()}
        config = {
            **described(self.config),
            "tables_only": self.tables_only,
            "world_content": world_content(study.world),
            "plugins": {name: outside_digests(agent) for name, agent in study.agents.items()},
            "production": outside_digests(study.production),
            "weights": [_model_digest(folder) for folder in sorted(models) if folder.is_dir()],
        }
        return stage_digest(self.variant, config, [], compare.__module__)

    def is_done(self) -> bool:
        """Whether the folder holds this very comparison's results."""
        mark = self.folder / "done"
        return mark.is_file() and mark.read_text(encoding="utf-8").strip() == self.digest()

    @cached_property
    def study(self) -> Study:
        """The study, checked."""
        return check_study(self.config)


def plan(config: DictConfig, folder: Path, command: str = "paper", needed: str = MAIN) -> list[Comparison]:
    """Every comparison, variant by variant, checked before anything runs, or ``InvalidInput``.

    Args:
        config: of ``conf/paper.yaml``, or of another command with seeds and variants, composed.
        folder: of the whole run; a comparison's is ``VARIANT/seed_K`` in it.
        command: the entry with ``seeds`` and ``variants``.
        needed: the variant that others are held against.
    """
    own = _checked(config, command, needed)
    comparisons = []
    for variant, entries in own.variants.items():
        name = f"{command}.variants.{variant}"
        worlds = checked(Count, entries.get("worlds", len(own.seeds)), f"{name}.worlds")
        tables_only = checked(bool, entries.get("tables_only", False), f"{name}.tables_only")
        plain = resolved(_varied(config, name, entries, command))  # nothing in it follows from the world's seed
        settings_by_arm(check_study({**plain, "seed": own.seeds[0]}), plain)
        comparisons += [
            Comparison(variant, seed, {**plain, "seed": seed}, folder / variant / f"seed_{seed}", tables_only)
            for seed in own.seeds[:worlds]
        ]
    return comparisons


def _checked(config: DictConfig, command: str, needed: str) -> PlanSettings:
    """``seeds`` and ``variants`` of a command."""
    own = from_mapping(PlanSettings, resolved(config[command], command), command)
    if needed not in own.variants:
        raise InvalidInput(f"{command}.variants", own.variants, f"must have {needed}")
    return own


def _varied(config: DictConfig, name: str, entries: Mapping[str, Any], command: str) -> DictConfig:
    """The config of ``compare`` with a variant's entries in the place of its own."""
    varied: DictConfig = config.copy()
    with open_dict(varied):
        del varied[command]
    for key, value in entries.items():
        if key in _OF_VARIANTS:
            continue
        if OmegaConf.select(varied, str(key)) is None:
            raise InvalidInput(f"{name}.{key}", value, "is no entry of the config")
        OmegaConf.update(varied, str(key), value, merge=False)
    return varied
