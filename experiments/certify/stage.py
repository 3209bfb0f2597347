"""A world's measures as a cached stage."""

import json
from pathlib import Path

from experiments.certify.measures import Measures, measure
from experiments.stages.stages import run_stage, world_content
from sim.files import write_text
from sim.hidden.config import WorldConfig


def measured(world: WorldConfig, seed: int, days: int, cache_dir: Path) -> Measures:
    """The measures of a world over ``days`` under each policy, from the cache if they have been taken before."""

    def make(folder: Path) -> None:
        write_text(folder / "measures.json", json.dumps(measure(world, seed, days)))  # NaN where it is not defined

    config = {"world": world_content(world), "seed": seed, "days": days}
    stage = run_stage(cache_dir, "certify", make, config=config, inputs=[])
    content: Measures = json.loads((stage.folder / "measures.json").read_text(encoding="utf-8"))
    return content
