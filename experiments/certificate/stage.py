"""A world's measures as a cached stage."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.certificate.measures import Measures, measure
from experiments.stages import run_stage
from sim.authored import authored_digest
from sim.config import WorldConfig
from sim.files import write_json

_MEASURES = ("slates", "policies", "life", "consumption", "behaviour", "probes", "measures")


def measured(world: WorldConfig, seed: int, days: int, cache_dir: Path) -> Measures:
    """The measures of a world over ``days`` under each policy, from the cache if they have been taken before."""

    def make(folder: Path) -> None:
        write_json(folder / "measures.json", _with_none(measure(world, seed, days)))

    config = {
        # The authored files' content counts, not where they are.
        "world": {**asdict(world), "taxonomy": authored_digest(world.taxonomy)},
        "seed": seed,
        "days": days,
    }
    stage = run_stage(cache_dir, "certify", make, config=config, inputs=[])
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
