"""What ``interestlab paper`` runs: every variant of the comparison in every world."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.compare import check_study, described_config
from experiments.llm_arms import settings_by_arm
from experiments.study import Study
from sim.errors import InvalidInput

MAIN, PERMUTED, NOTHING_TO_FIND, SAME_TWICE = "main", "permuted", "nothing_to_find", "same_twice"
"""The variants that claims and controls read."""

_ARM_SECONDS = 22.0  # of one core: an arm of world=small for 14 days with 2,000 users (measured, docs/comparison.md)
_BURN_IN_SECONDS = 60.0
_STEP_SECONDS = 1.4  # of one core: a step of 16 samples (interestlab benchmark llm)
_PAIR_SECONDS = 1 / 115


@dataclass(frozen=True)
class Comparison:
    """One comparison of the plan.

    Attributes:
        variant: its name.
        seed: of the world.
        config: of ``interestlab compare``.
        folder: where its report and results go.
    """

    variant: str
    seed: int
    config: DictConfig
    folder: Path

    def is_done(self) -> bool:
        """Whether the folder holds this comparison's results, of the same config."""
        try:
            found = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        wanted = json.loads(json.dumps(described_config(self.config, check_study(self.config))))
        return isinstance(found, dict) and found.get("config") == wanted


def plan(config: DictConfig, folder: Path) -> list[Comparison]:
    """Every comparison, world by world, checked before anything runs.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    own = OmegaConf.to_container(config.paper, resolve=True)
    if not isinstance(own, dict) or set(own) != {"seeds", "variants"}:
        raise InvalidInput("paper", own, "must have the entries seeds and variants")
    seeds, variants = own["seeds"], own["variants"]
    if not isinstance(seeds, list) or len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise InvalidInput("paper.seeds", seeds, "must be a list of at least two different seeds, such as [0,1,2,3,4]")
    if not isinstance(variants, dict) or MAIN not in variants:
        raise InvalidInput("paper.variants", variants, f"must have {MAIN}")
    comparisons = []
    for seed in seeds:
        for variant, entries in variants.items():
            made = _varied(config, seed, str(variant), entries)
            study = check_study(made)
            settings_by_arm(study, made)
            comparisons.append(Comparison(str(variant), seed, made, folder / str(variant) / f"seed_{seed}"))
    return comparisons


def _varied(config: DictConfig, seed: int, variant: str, entries: Mapping[str, Any]) -> DictConfig:
    """The config of one comparison."""
    name = f"paper.variants.{variant}"
    if not isinstance(entries, Mapping):
        raise InvalidInput(name, entries, "must be entries such as world.semantic_alignment: 0.0")
    made: DictConfig = config.copy()
    with open_dict(made):
        del made["paper"]
        made.seed = seed
        for key, value in entries.items():
            if OmegaConf.select(made, key) is None:
                raise InvalidInput(f"{name}.{key}", value, "there is no such entry in the config")
            OmegaConf.update(made, key, value, merge=False)
    return made


def ahead(comparisons: list[Comparison]) -> str:
    """What lies ahead, in one line, with an estimate for two cores."""
    left = [each for each in comparisons if not each.is_done()]
    minutes = sum(_core_seconds(check_study(each.config), each.config) for each in left) / 2 / 60
    variants, seeds = ({getattr(each, key) for each in comparisons} for key in ("variant", "seed"))
    return (
        f"paper: {len(variants)} variants x {len(seeds)} worlds = {len(comparisons)} comparisons, "
        f"{len(comparisons) - len(left)} of them there; the others take some {minutes:,.0f} minutes of two cores, "
        "less what is in the cache"
    )


def _core_seconds(study: Study, config: DictConfig) -> float:
    """Roughly, from what world=small takes."""
    size = study.world.num_users / 2000 * study.experiment.days / 14
    seconds = _BURN_IN_SECONDS * size + _ARM_SECONDS * size * len(study.experiment.arms)
    for each in set(settings_by_arm(study, config).values()):
        seconds += _STEP_SECONDS * each.steps + _PAIR_SECONDS * study.world.num_interests**2
    return seconds
