"""All agents' recommendation lists, several agents side by side."""

from collections.abc import Mapping
from functools import partial

from experiments.offline.lists import Lists, ListStages, production_stage, read_lists
from experiments.stages.progress import with_bar
from experiments.stages.stages import Stage
from experiments.study.study import Study


def all_lists(
    study: Study, history: Stage, inputs: Mapping[str, list[str]], exclude_seen: bool, top_k: int
) -> dict[str, Lists]:
    """Every agent's lists, ``runtime.workers`` agents at a time, in the order of ``study.agents``."""
    production = production_stage(study, history, exclude_seen)
    list_stages = ListStages(study, history, production, inputs, exclude_seen, top_k)
    stages = {name: list_stages.stage(name) for name in study.agents if list_stages.is_done(name)}
    jobs = {name: partial(list_stages.stage, name) for name in study.agents if name not in stages}
    runtime = study.runtime
    stages |= with_bar(jobs, runtime.workers, runtime.backend, "agents", "agent")
    return {name: read_lists(stages[name]) for name in study.agents}
