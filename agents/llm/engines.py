"""What completes prompts: a model in this process, in vLLM, or behind an endpoint; one interface for all.

Engines generate freely, token by token, as the paper's model does when it is served; what they say
may or may not be the name of a cluster (``agents.llm.generated_table``). The default way to a table,
the exact score of every label (``agents.llm.bulk``), needs the model's own numbers and no engine.
"""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What completions cost.

    Attributes:
        prompt_tokens, completion_tokens: as the engine counts them; a server that does not say counts 0.
        requests: sent, retries included; prompts given to a model in this process count one each.
        retries: requests that repeated one that failed.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0
    retries: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.requests + other.requests,
            self.retries + other.retries,
        )


@dataclass(frozen=True)
class Answer:
    """The completion of one prompt.

    Attributes:
        number: of the prompt among those that were asked together.
        text: the completion, special tokens left out; may be empty.
        cost: of this answer.
        date: when it was given (ISO 8601).
    """

    number: int
    text: str
    cost: Cost
    date: str = field(default_factory=lambda: date.today().isoformat())


class Engine(abc.ABC):
    """Completes prompts greedily.

    Attributes:
        chat: whether prompts are messages of a user, put into the model's chat template, rather than
            texts to go on from.
        cost: of all answers so far.
    """

    def __init__(self, chat: bool) -> None:
        self.chat = chat
        self.cost = Cost()

    @property
    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """What the answers depend on in addition to the prompts, as JSON for a table's manifest; holds no secrets."""

    @property
    def model(self) -> str:
        """What is asked, for a record of its answers: a name, or a digest of weights."""
        description = self.description
        return str(description.get("model") or description.get("weights_digest") or description["engine"])

    @abc.abstractmethod
    def _answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        """Complete prompts; called by ``answers``."""

    def answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        """Complete prompts; gives each answer as it comes, in any order, so that none is lost if a later one fails.

        Args:
            prompts: texts, or messages if ``chat``.
            max_tokens: longest completion.

        Raises:
            InvalidInput: the engine cannot go on; what it had finished was given before.
        """
        for answer in self._answers(prompts, max_tokens):
            self.cost += answer.cost
            yield answer
