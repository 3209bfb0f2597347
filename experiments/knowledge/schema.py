"""What ``knowledge.json`` holds."""

from typing import Any

from typing_extensions import TypedDict

from experiments.results_schema import Estimate

Table = dict[str, dict[str, Estimate]]
"""Contestant -> measure -> its estimate; ``n`` counts personas."""

TrainingRow = TypedDict(
    "TrainingRow",
    {
        "who": str,
        "fold": int,
        "steps": int,
        "best_step": int,
        "match_rate": float | None,
        "validation_loss": float | None,
        "validation_recall@10": float | None,
        "last_validation_loss": float | None,
    },
)
"""How a fold's fine-tuning went."""


class WorldRow(TypedDict):
    """One world: its folds, what every contestant got, and the language model less each other."""

    facts: dict[str, Any]
    contestants: Table
    differences: Table
    training: list[TrainingRow]


class KnowledgeResults(TypedDict):
    """All worlds by alpha, and what they say in sentences."""

    config: dict[str, Any]
    worlds: dict[str, WorldRow]
    findings: list[str]
