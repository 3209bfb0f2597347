"""The settings of ``conf/arena.yaml``, checked before anything runs."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import MinLen

from experiments.study.study import Study
from sim.errors import InvalidInput
from sim.records import Count, Expected, Name, from_mapping, limits, record

Entries = Annotated[
    dict[str, Any], Expected("must be entries of production's config that are different, or an agent's config")
]
Logging = Annotated[dict[Name, Entries], MinLen(1), Expected("must name a logging policy, such as {production: {}}")]


@record
@dataclass(frozen=True)
class ArenaConfig:
    """``arena`` of conf/arena.yaml, which says what each entry means, checked.

    Elsewhere R is the number of redraws (independent logs at the same requests), D of draws, L of ``lucks``.
    """

    logging: Logging
    log_days: Count
    redraws: Count
    draws: Count
    logging_draws: Count
    lucks: Count
    sizes: Annotated[tuple[Count, ...], MinLen(1), Expected("must be a list of whole numbers, such as [1000,10000]")]
    max_logs: Count
    clip: Annotated[float, limits(above=0)]
    switch: Annotated[float, limits(above=0)]
    learning: bool


def check_arena(mapping: Any, study: Study) -> ArenaConfig:
    """Build the settings from the plain, composed config, or raise ``InvalidInput``."""
    arena = from_mapping(ArenaConfig, mapping, "arena")
    experiment = study.experiment
    if experiment.exploration_slots != experiment.slots:
        raise InvalidInput(
            "experiment.exploration_slots",
            experiment.exploration_slots,
            f"must be experiment.slots={experiment.slots}: whole slates are evaluated",
        )
    if experiment.diversion != "twins":
        raise InvalidInput("experiment.diversion", experiment.diversion, "must be twins: the truth is of everybody")
    if len(experiment.arms) < 2:
        raise InvalidInput("experiment.arms", list(experiment.arms), "must name at least two agents to rank")
    if sorted(set(arena.sizes)) != list(arena.sizes) or arena.sizes[0] < 2 * experiment.slots:
        expected = f"must be a list of whole numbers, at least {2 * experiment.slots} and ascending"
        raise InvalidInput("arena.sizes", list(arena.sizes), f"{expected}, such as [1000,10000]")
    return arena
