"""What ``conf/llm/*.yaml`` sets, checked."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from agents.llm.endpoint import check_key_variable, check_url
from sim.errors import InvalidInput


@dataclass(frozen=True)
class LLMSettings:
    """Settings of the LLM pipeline; units and sources stand in ``conf/llm/smollm2.yaml``.

    Raises:
        InvalidInput: names the setting, e.g. ``llm.steps=-1: must be at least 0``.
    """

    model: str
    random_weights: bool
    precision: str
    threads: int
    num_keywords: int
    curation: str
    pairs_per_label: int
    held_out_share: float
    held_out_days: int
    method: str
    freeze_embeddings: bool
    lora_rank: int
    steps: int
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_steps: int
    eval_every: int
    eval_pairs: int
    checkpoint_every: int
    pmi_coefficient: float
    encoder_weight: float
    top_n: int
    pairs_per_shard: int
    past_clusters: int
    triple_min_users: int
    successor_hint: bool
    engine: str
    chat: bool
    url: str
    key_variable: str
    timeout: float
    retries: int
    requests_per_minute: int
    requests_in_flight: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if field.type is float and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
                value = float(value)
            if not isinstance(value, field.type) or (field.type is int and isinstance(value, bool)):  # type: ignore[arg-type]
                raise InvalidInput(f"llm.{name}", value, f"must be {_KINDS[field.type]}")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise InvalidInput(f"llm.{name}", value, f"must be one of {', '.join(_CHOICES[name])}")
            if name in _LIMITS:
                low, high = _LIMITS[name]
                if not low <= value <= high:  # also refuses NaN
                    limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
                    raise InvalidInput(f"llm.{name}", value, f"must be {limits}")
        self._check_engine()

    def _check_engine(self) -> None:
        """Settings that do nothing with the engine must say so: none is silently ignored."""
        for name, value in (_OF_SCORING if self.engine == "transformers" else _OF_GENERATION).items():
            if getattr(self, name) != value:
                expected = f"must be {value!r} with llm.engine={self.engine}, which has no use for it"
                raise InvalidInput(f"llm.{name}", getattr(self, name), expected)
        if self.successor_hint and self.past_clusters != 2:
            raise InvalidInput("llm.successor_hint", True, "must be false unless llm.past_clusters=2")
        check_key_variable(self.key_variable)
        if self.engine == "http" or self.url:
            plain = check_url(self.url)
            if self.engine != "http":
                raise InvalidInput(
                    "llm.url", plain, f"must be '' with llm.engine={self.engine}, which asks no endpoint"
                )
        if not self.model:
            raise InvalidInput(
                "llm.model", self.model, "must be given: a folder, a Hugging Face id, or an endpoint's name"
            )


OF_ENGINES = (
    "engine",
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

_KINDS: dict[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}

_CHOICES: dict[str, tuple[str, ...]] = {
    "precision": ("auto", "bf16", "fp32"),
    "curation": ("diversified", "random"),
    "method": ("full", "lora"),
    "engine": ("transformers", "http", "vllm"),
}

_OF_SCORING: dict[str, Any] = {"chat": False}
_OF_GENERATION: dict[str, Any] = {
    "random_weights": False,
    "steps": 0,
    "pmi_coefficient": 0.0,
    "encoder_weight": 0.0,
    "top_n": 1,
    "past_clusters": 2,
    "successor_hint": False,
}
"""What must be set where the model scores labels, and where it generates (neither fine-tuned nor scored)."""

_LIMITS: dict[str, tuple[float, float]] = {
    "threads": (1, 1024),
    "num_keywords": (1, math.inf),
    "pairs_per_label": (1, math.inf),
    "held_out_share": (0, 0.9),
    "held_out_days": (0, math.inf),
    "lora_rank": (1, 1024),
    "steps": (0, math.inf),
    "batch_size": (1, math.inf),
    "micro_batch_size": (1, math.inf),
    "learning_rate": (0, 1),
    "warmup_steps": (0, math.inf),
    "eval_every": (1, math.inf),
    "eval_pairs": (1, math.inf),
    "checkpoint_every": (1, math.inf),
    "pmi_coefficient": (0, 10),
    "encoder_weight": (0, 1000),
    "top_n": (1, math.inf),
    "pairs_per_shard": (1, math.inf),
    "past_clusters": (1, 3),
    "triple_min_users": (1, math.inf),
    "timeout": (0.1, 86400),
    "retries": (0, 100),
    "requests_per_minute": (0, math.inf),
    "requests_in_flight": (1, 256),
}
