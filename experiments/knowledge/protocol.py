"""The settings of ``conf/knowledge.yaml``, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_types import MinLen

from agents.llm.settings import LLMSettings
from experiments.knowledge.contestants import SCORED
from experiments.llm.arms import check_llm
from sim.errors import InvalidInput
from sim.records import Count, Different, Expected, Positive, Share, checked, from_mapping, limits, record

Alphas = Annotated[
    tuple[Share, ...],
    MinLen(1),
    Different,
    Expected("must be a list of different numbers from 0 to 1, such as [1,0]"),
]


@record
@dataclass(frozen=True)
class KnowledgeConfig:
    """Entries of conf/knowledge.yaml, which says what each means, checked; and the settings of each of ``SCORED``."""

    alphas: Alphas
    folds: Annotated[int, limits(2)]
    pairs_per_persona: Count
    prior_pairs: Count
    svd_rank: Count
    counts_smoothing: Positive
    encoder_weight: Annotated[float, limits(0, 1000)]
    models: dict[str, LLMSettings]


def check_knowledge(config: Mapping[str, Any]) -> KnowledgeConfig:
    """Build the settings from the plain, composed config, or raise ``InvalidInput``."""
    own = {name: config.get(name) for name in KnowledgeConfig.__dataclass_fields__ if name != "models"}
    checks = from_mapping(KnowledgeConfig, {**own, "models": {}}, "")
    return replace(checks, models=_models(config.get("llm"), config.get("twin")))


_Twin = Annotated[dict[str, Any], Expected("must be a mapping of entries of llm that are different for the twin")]


def _models(llm: Any, twin: Any) -> dict[str, LLMSettings]:
    """The settings of the three language models; the twin's are those of ``llm`` but for its own entries."""
    tuned = check_llm(llm)
    if tuned.engine != "transformers":
        raise InvalidInput("llm.engine", tuned.engine, "must be transformers: the test is of fine-tuning")
    if tuned.random_weights:
        raise InvalidInput("llm.random_weights", True, "must be false: the twin is a contestant of its own")
    if tuned.steps < 1:
        raise InvalidInput("llm.steps", tuned.steps, "must be at least 1: the model as it comes is a contestant anyway")
    checked(_Twin, twin, "twin")
    of_twin = check_llm({**llm, **twin, "random_weights": True}, "twin")
    return dict(zip(SCORED, (tuned, check_llm({**llm, "steps": 0}), of_twin), strict=True))
