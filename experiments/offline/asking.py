"""All agents asked, some of them side by side."""

from collections.abc import Mapping
from functools import partial

from experiments.offline.answers import Answers, Asking, production_stage, read_answers
from experiments.stages.progress import with_bar
from experiments.stages.stages import Stage
from experiments.study.study import Study


def all_answers(
    study: Study, history: Stage, inputs: Mapping[str, list[str]], exclude_seen: bool, top_k: int
) -> dict[str, Answers]:
    """Every agent's answers, ``runtime.workers`` agents at a time, in the order of ``study.agents``."""
    production = production_stage(study, history, exclude_seen)
    asking = Asking(study, history, production, inputs, exclude_seen, top_k)
    stages = {name: asking.stage(name) for name in study.agents if asking.is_done(name)}
    jobs = {name: partial(asking.stage, name) for name in study.agents if name not in stages}
    runtime = study.runtime
    stages |= with_bar(jobs, runtime.workers, runtime.backend, "agents", "agent")
    return {name: read_answers(stages[name]) for name in study.agents}
