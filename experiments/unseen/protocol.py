"""The settings of ``conf/knowledge.yaml``, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.llm.settings import LLMSettings
from experiments.llm_arms import check_llm
from experiments.unseen.contestants import SCORED
from sim.errors import InvalidInput

_LEAST = {"folds": 2, "pairs_per_persona": 1, "prior_pairs": 1, "svd_rank": 1}


@dataclass(frozen=True)
class KnowledgeConfig:
    """What is asked, and of whom.

    Attributes:
        alphas: the worlds' semantic alignments, all different.
        folds: groups of personas, held out one at a time.
        pairs_per_persona: questions about a persona, at most.
        prior_pairs: validation pairs over which a label's mean probability is taken, at most.
        svd_rank: dimensions of the contestant ``svd``.
        encoder_weight: say of the sentence encoder in the contestant ``llm_text``.
        models: settings of each of ``SCORED``.
    """

    alphas: tuple[float, ...]
    folds: int
    pairs_per_persona: int
    prior_pairs: int
    svd_rank: int
    encoder_weight: float
    models: dict[str, LLMSettings]


def check_knowledge(config: Mapping[str, Any]) -> KnowledgeConfig:
    """Build the settings from the plain, composed config.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    for name, least in _LEAST.items():
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidInput(name, value, f"must be a whole number, at least {least}")
    weight = config["encoder_weight"]
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1000:
        raise InvalidInput("encoder_weight", weight, "must be a number from 0 to 1000")
    return KnowledgeConfig(
        alphas=_alphas(config["alphas"]),
        **{name: config[name] for name in _LEAST},
        encoder_weight=float(weight),
        models=_models(config["llm"], config["twin"]),
    )


def _alphas(values: Any) -> tuple[float, ...]:
    expected = "must be a list of different numbers from 0 to 1, such as [1,0]"
    if not isinstance(values, list) or not values:
        raise InvalidInput("alphas", values, expected)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise InvalidInput("alphas", values, expected)
    if len({f"{value:g}" for value in values}) < len(values):
        raise InvalidInput("alphas", values, expected)
    return tuple(float(value) for value in values)


def _models(llm: dict[str, Any], twin: Any) -> dict[str, LLMSettings]:
    """The settings of the three language models; the twin's are those of ``llm`` but for its own entries."""
    tuned = check_llm(llm)
    if tuned.engine != "transformers":
        raise InvalidInput("llm.engine", tuned.engine, "must be transformers: the test is of fine-tuning")
    if tuned.random_weights:
        raise InvalidInput("llm.random_weights", True, "must be false: the twin is a contestant of its own")
    if tuned.steps < 1:
        raise InvalidInput("llm.steps", tuned.steps, "must be at least 1: the model as it comes is a contestant anyway")
    if not isinstance(twin, dict):
        raise InvalidInput("twin", twin, "must be a mapping of entries of llm that are different for the twin")
    of_twin = check_llm({**llm, **twin, "random_weights": True}, "twin")
    return dict(zip(SCORED, (tuned, check_llm({**llm, "steps": 0}), of_twin), strict=True))
