"""What ``interestlab paper`` and ``interference`` run: variants of one comparison, each in several worlds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.compare import check_study
from experiments.described import described
from experiments.llm_arms import settings_by_arm
from experiments.stages import stage_digest
from experiments.study import Study
from sim.errors import InvalidInput

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
_CODE = ("sim", "agents", "experiments")


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
        """Hash of what its results rest on: the config, but for where and how the work is done, and our code."""
        return stage_digest(self.variant, {**described(self.config), "tables_only": self.tables_only}, [], _CODE)

    def is_done(self) -> bool:
        """Whether the folder holds this very comparison's results."""
        mark = self.folder / "done"
        return mark.is_file() and mark.read_text(encoding="utf-8").strip() == self.digest()

    def study(self) -> Study:
        """The study, checked."""
        return check_study(OmegaConf.create(self.config))


def plan(config: DictConfig, folder: Path, command: str = "paper", needed: str = MAIN) -> list[Comparison]:
    """Every comparison, variant by variant, checked before anything runs.

    Args:
        config: of ``conf/paper.yaml``, or of another command with seeds and variants, composed.
        folder: of the whole run; a comparison's is ``VARIANT/seed_K`` in it.
        command: the entry with ``seeds`` and ``variants``.
        needed: the variant that others are held against.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    seeds, variants = _checked(config, command, needed)
    comparisons = []
    for variant, entries in variants.items():
        name = f"{command}.variants.{variant}"
        worlds = entries.get("worlds", len(seeds))
        if isinstance(worlds, bool) or not isinstance(worlds, int) or worlds < 1:
            raise InvalidInput(f"{name}.worlds", worlds, "must be a whole number, at least 1")
        tables_only = entries.get("tables_only", False)
        if not isinstance(tables_only, bool):
            raise InvalidInput(f"{name}.tables_only", tables_only, "must be true or false")
        for seed in seeds[:worlds]:
            varied = _varied(config, seed, name, entries, command)
            settings_by_arm(check_study(varied), varied)
            plain: dict[str, Any] = OmegaConf.to_container(varied, resolve=True)  # type: ignore[assignment]
            comparisons.append(Comparison(variant, seed, plain, folder / variant / f"seed_{seed}", tables_only))
    return comparisons


def _checked(config: DictConfig, command: str, needed: str) -> tuple[list[int], dict[str, dict[str, Any]]]:
    """``seeds`` and ``variants`` of a command."""
    try:
        own: Any = OmegaConf.to_container(config[command], resolve=True)
    except Exception as error:  # OmegaConf's own errors are of many kinds
        raise InvalidInput(command, str(error).splitlines()[0], "must resolve") from None
    if not isinstance(own, dict) or set(own) != {"seeds", "variants"}:
        raise InvalidInput(command, own, "must have the entries seeds and variants")
    seeds, variants = own["seeds"], own["variants"]
    right = isinstance(seeds, list) and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not right or len(seeds) < 2 or len(set(seeds)) < len(seeds):
        expected = "must be a list of two or more different whole numbers, such as [0,1]"
        raise InvalidInput(f"{command}.seeds", seeds, expected)
    if not isinstance(variants, dict) or needed not in variants:
        raise InvalidInput(f"{command}.variants", variants, f"must have {needed}")
    for variant, entries in variants.items():
        if not isinstance(entries, dict):
            raise InvalidInput(f"{command}.variants.{variant}", entries, "must be entries such as world.num_users: 500")
    return seeds, {str(name): entries for name, entries in variants.items()}


def _varied(config: DictConfig, seed: int, name: str, entries: Mapping[str, Any], command: str) -> DictConfig:
    """The config of ``compare`` with a variant's entries in the place of its own."""
    varied: DictConfig = config.copy()
    with open_dict(varied):
        del varied[command]
        varied.seed = seed
    for key, value in entries.items():
        if key in _OF_VARIANTS:
            continue
        if OmegaConf.select(varied, str(key)) is None:
            raise InvalidInput(f"{name}.{key}", value, "is no entry of the config")
        OmegaConf.update(varied, str(key), value, merge=False)
    return varied
