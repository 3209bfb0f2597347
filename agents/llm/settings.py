"""What ``conf/llm/*.yaml`` sets, checked."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from agents.llm.endpoint import check_key_variable, check_url
from sim.errors import InvalidInput
from sim.records import Count, Rate, Whole, limits, record


@record
@dataclass(frozen=True)
class LLMSettings:
    """Settings of the LLM pipeline; units and sources stand in ``conf/llm/smollm2.yaml``.

    Raises:
        InvalidInput: settings that do not go together, e.g. ``llm.model=''``.
    """

    model: str
    random_weights: bool
    precision: Literal["auto", "bf16", "fp32"]
    threads: Annotated[int, limits(1, 1024)]
    num_keywords: Count
    curation: Literal["diversified", "random"]
    pairs_per_label: Count
    held_out_share: Annotated[float, limits(0, 0.9)]
    held_out_days: Whole
    method: Literal["full", "lora"]
    freeze_embeddings: bool
    lora_rank: Annotated[int, limits(1, 1024)]
    steps: Whole
    batch_size: Count
    micro_batch_size: Count
    learning_rate: Rate
    warmup_steps: Whole
    eval_every: Count
    eval_pairs: Count
    checkpoint_every: Count
    pmi_coefficient: Annotated[float, limits(0, 10)]
    encoder_weight: Annotated[float, limits(0, 1000)]
    top_n: Count
    pairs_per_shard: Count
    past_clusters: Annotated[int, limits(1, 3)]
    triple_min_users: Count
    successor_hint: bool
    engine: Literal["transformers", "http", "vllm", "recorded"]
    ask: Literal["pairs", "lists"]
    record: str
    chat: bool
    url: str
    key_variable: str
    timeout: Annotated[float, limits(0.1, 86400)]
    retries: Annotated[int, limits(0, 100)]
    requests_per_minute: Whole
    requests_in_flight: Annotated[int, limits(1, 256)]

    def __post_init__(self) -> None:
        """Settings that do nothing with the engine must say so: none is silently ignored."""
        if self.batch_size % min(self.batch_size, self.micro_batch_size):
            expected = f"must divide llm.batch_size={self.batch_size}"
            raise InvalidInput("llm.micro_batch_size", self.micro_batch_size, expected)
        for name, value in self._without_effect().items():
            if getattr(self, name) != value:
                why = ", which has no use for it" if self.engine == "transformers" else f" and llm.ask={self.ask}"
                expected = f"must be {value!r} with llm.engine={self.engine}{why}"
                raise InvalidInput(f"llm.{name}", getattr(self, name), expected)
        if self.ask == "lists" and self.past_clusters == 3:
            raise InvalidInput("llm.past_clusters", 3, "must be 1 or 2 with llm.ask=lists")
        if self.engine == "recorded" and self.ask == "pairs" and not self.record:
            expected = "must name a file of answers with llm.ask=pairs; the one that comes along is of lists"
            raise InvalidInput("llm.record", "", expected)
        if self.successor_hint and self.past_clusters != 2:
            raise InvalidInput("llm.successor_hint", True, "must be false unless llm.past_clusters=2")
        check_key_variable(self.key_variable)
        if self.engine == "http" or self.url:
            plain = check_url(self.url)
            if self.engine != "http":
                raise InvalidInput(
                    "llm.url", plain, f"must be '' with llm.engine={self.engine}, which asks no endpoint"
                )
        if not self.model and self.engine != "recorded":
            raise InvalidInput(
                "llm.model", self.model, "must be given: a folder, a Hugging Face id, or an endpoint's name"
            )

    def _without_effect(self) -> dict[str, Any]:
        """The values of the settings that the engine has no use for."""
        if self.engine == "transformers":
            return _OF_SCORING
        of_form = _OF_PAIRS if self.ask == "pairs" else {}
        if self.engine != "recorded":
            return {**_OF_GENERATION, **of_form}
        return {**_OF_GENERATION, **of_form, "model": "", **({"chat": False} if self.ask == "lists" else {})}


OF_ENGINES = (
    "engine",
    "ask",
    "record",
    "chat",
    "url",
    "key_variable",
    "timeout",
    "retries",
    "requests_per_minute",
    "requests_in_flight",
)
"""Settings that fine-tuning and scoring do not read."""

OF_TABLES = ("top_n", "pairs_per_shard", "past_clusters", "triple_min_users", "successor_hint")
"""Settings that fine-tuning does not read: the model is fine-tuned on pairs, without hints, for every table."""

_OF_SCORING: dict[str, Any] = {"ask": "pairs", "record": "", "chat": False}
_OF_GENERATION: dict[str, Any] = {
    "random_weights": False,
    "steps": 0,
    "pmi_coefficient": 0.0,
    "encoder_weight": 0.0,
    "successor_hint": False,
}
_OF_PAIRS: dict[str, Any] = {"top_n": 1, "past_clusters": 2}
"""What must be set where the model scores labels, and where it generates (neither fine-tuned nor scored)."""
