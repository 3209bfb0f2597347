"""What ``offline.json`` holds; measures are named as in ``experiments.offline.measures.TITLES``."""

from typing import Any

from typing_extensions import TypedDict


class Cell(TypedDict):
    """A measure's mean over users with its 95 % interval."""

    value: float
    low: float
    high: float


class Difference(Cell):
    """A paired difference to the reference; without p where the measure is no mean over users."""

    p: float | None
    p_holm: float | None


class AgentRow(TypedDict):
    """An agent's measures, and whether its clusters are those of a planner."""

    planned: bool
    measures: dict[str, Cell]


class TaskRow(TypedDict):
    """A task; without users it has neither chance nor agents nor differences."""

    users: int
    targets: int
    candidates: float | None
    left_out: dict[str, int]
    chance: dict[str, float]
    agents: dict[str, AgentRow]
    differences: dict[str, dict[str, Difference]]


class Asked(TypedDict):
    """The settings that pages speak of."""

    held_out_days: int
    top_k: int
    reference: str
    exclude_seen: bool


class OfflineResults(TypedDict):
    """Measures of every agent's lists."""

    config: dict[str, Any]
    offline: Asked
    dataset: dict[str, Any]
    users: dict[str, int]
    left_out_agents: dict[str, str]
    tasks: dict[str, TaskRow]
