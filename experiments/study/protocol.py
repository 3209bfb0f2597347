"""The experiment's settings, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import MinLen

from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.records import Count, Expected, Name, from_mapping, record

CONTROL = "control"
"""The arm that is production alone; no agent of that name is needed."""

Diversion = Literal["twins", "split", "shared", "codiverted"]
DIVERSIONS: tuple[str, ...] = get_args(Diversion)
"""How users, and items, come to arms (``experiments.study.diversion``)."""

ALL = "all"
"""In place of a list of arms: production alone, and every agent of the config."""


@record
@dataclass(frozen=True)
class ExperimentConfig:
    """``conf/experiment/*.yaml``, which says what entries mean, checked; ``slots`` are S, ``exploration_slots`` E."""

    arms: Annotated[tuple[Name, ...], MinLen(1), Expected("must be a list such as [control,counts,llm], or all")]
    control: str
    reference: str
    burn_in_days: Count
    days: Count
    slots: Count
    exploration_slots: Count
    exploration_per_day: Count | None
    diversion: Diversion


def check_experiment(mapping: Any, known_agents: Sequence[str], world: WorldConfig) -> ExperimentConfig:
    """Build the settings from a (Hydra) mapping, or raise ``InvalidInput``.

    Args:
        mapping: the entries.
        known_agents: names of the config's agents.
        world: in which the experiment takes place; its users, or items, may be too few to divide.
    """
    if isinstance(mapping, Mapping) and mapping.get("arms") == ALL:
        mapping = {**mapping, "arms": [CONTROL, *known_agents]}
    experiment = from_mapping(ExperimentConfig, mapping, "experiment")
    arms = experiment.arms
    if experiment.exploration_slots > experiment.slots:
        expected = f"must be at most experiment.slots={experiment.slots}"
        raise InvalidInput("experiment.exploration_slots", experiment.exploration_slots, expected)
    _check_dose(experiment)
    known = (CONTROL, *known_agents)
    for arm in arms:
        if arm not in known:
            raise InvalidInput("experiment.arms", arm, f"unknown agent; known are {', '.join(known)}")
    if len(set(arms)) < len(arms):
        raise InvalidInput("experiment.arms", list(arms), "must name each arm once")
    for role in ("control", "reference"):
        if getattr(experiment, role) not in known:
            raise InvalidInput(
                f"experiment.{role}", getattr(experiment, role), f"unknown agent; known are {', '.join(known)}"
            )
    if experiment.control not in arms:
        raise InvalidInput("experiment.control", experiment.control, f"must be one of the arms {', '.join(arms)}")
    if experiment.diversion != "twins" and world.num_users < 2 * len(arms):
        raise InvalidInput("world.num_users", world.num_users, f"is too few to split over {len(arms)} arms")
    needed = len(arms) * (3 * (world.platform.seen_length + experiment.slots) // 2)
    if experiment.diversion == "codiverted" and world.num_items < needed:
        expected = f"must be at least {needed}, so that each of {len(arms)} arms has enough that a user has not seen"
        raise InvalidInput("world.num_items", world.num_items, expected)
    return experiment


def _check_dose(experiment: ExperimentConfig) -> None:
    slots, per_day = experiment.exploration_slots, experiment.exploration_per_day
    if per_day is not None and per_day < slots:
        expected = f"must be null (no limit) or at least the slots of one slate, experiment.exploration_slots={slots}"
        raise InvalidInput("experiment.exploration_per_day", per_day, expected)
