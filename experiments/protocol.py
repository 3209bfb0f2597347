"""The experiment's settings, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sim.config import WorldConfig
from sim.errors import InvalidInput

CONTROL = "control"
"""The arm that is production alone; no agent of that name is needed."""

DIVERSIONS = ("twins", "split", "shared", "codiverted")
"""How users, and items, come to arms (``experiments.diversion``)."""

ALL = "all"
"""In place of a list of arms: production alone, and every agent of the config."""


@dataclass(frozen=True)
class ExperimentConfig:
    """What ``conf/experiment/*.yaml`` says.

    Attributes:
        arms: names of the arms; ``control`` or agents of the config.
        control: the arm that lifts are relative to.
        reference: the arm that Figures 4b and 4c are relative to.
        burn_in_days, days: lengths in days.
        slots: items a request, S.
        exploration_slots: of which the arm's agent fills, E.
        diversion: one of ``DIVERSIONS``.
    """

    arms: tuple[str, ...]
    control: str
    reference: str
    burn_in_days: int
    days: int
    slots: int
    exploration_slots: int
    diversion: str


def check_experiment(mapping: Mapping[str, Any], known_agents: Sequence[str], world: WorldConfig) -> ExperimentConfig:
    """Build the settings from a (Hydra) mapping.

    Args:
        mapping: the entries.
        known_agents: names of the config's agents.
        world: in which the experiment takes place; its users, or items, may be too few to divide.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    names = [f.name for f in fields(ExperimentConfig)]
    for name in mapping:
        if name not in names:
            raise InvalidInput(f"experiment.{name}", mapping[name], f"unknown entry; known are {', '.join(names)}")
    for name in names:
        if name not in mapping:
            raise InvalidInput(f"experiment.{name}", None, "is missing")
    for name in ("burn_in_days", "days", "slots", "exploration_slots"):
        value = mapping[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidInput(f"experiment.{name}", value, "must be a whole number, at least 1")
    if mapping["exploration_slots"] > mapping["slots"]:
        raise InvalidInput(
            "experiment.exploration_slots",
            mapping["exploration_slots"],
            f"must be at most experiment.slots={mapping['slots']}",
        )
    if mapping["diversion"] not in DIVERSIONS:
        raise InvalidInput("experiment.diversion", mapping["diversion"], f"must be one of {', '.join(DIVERSIONS)}")
    arms = [CONTROL, *known_agents] if mapping["arms"] == ALL else mapping["arms"]
    if isinstance(arms, str) or not isinstance(arms, Sequence) or not arms:
        raise InvalidInput("experiment.arms", arms, "must be a list such as [control,counts,llm], or all")
    known = (CONTROL, *known_agents)
    for arm in arms:
        if arm not in known:
            raise InvalidInput("experiment.arms", arm, f"unknown agent; known are {', '.join(known)}")
    if len(set(arms)) < len(arms):
        raise InvalidInput("experiment.arms", list(arms), "must name each arm once")
    for role in ("control", "reference"):
        if mapping[role] not in known:
            raise InvalidInput(f"experiment.{role}", mapping[role], f"unknown agent; known are {', '.join(known)}")
    if mapping["control"] not in arms:
        raise InvalidInput("experiment.control", mapping["control"], f"must be one of the arms {', '.join(arms)}")
    if mapping["diversion"] != "twins" and world.num_users < 2 * len(arms):
        raise InvalidInput("world.num_users", world.num_users, f"is too few to split over {len(arms)} arms")
    needed = len(arms) * (3 * (world.platform.seen_length + mapping["slots"]) // 2)
    if mapping["diversion"] == "codiverted" and world.num_items < needed:
        expected = f"must be at least {needed}, so that each of {len(arms)} arms has enough that a user has not seen"
        raise InvalidInput("world.num_items", world.num_items, expected)
    return ExperimentConfig(**{**mapping, "arms": tuple(arms)})
