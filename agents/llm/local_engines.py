"""Engines whose model runs on this machine: transformers, and vLLM where it is installed."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agents.llm.engines import Answer, Cost, Engine
from agents.llm.generation import generate
from agents.llm.model import check_context, compute_dtype, load_model, load_tokenizer
from agents.llm.prompt import Tokens
from agents.llm.weights import weights_digest
from sim.errors import InvalidInput

_BATCH = 32  # prompts generated together: the key-value caches of as many are in memory
_HOW_TO_GET_VLLM = (
    "needs the package vllm, which pins versions of its own: install it with interestlab in a separate "
    "environment (docs/engines.md), or take llm.engine=http and a server"
)


class _LocalEngine(Engine):
    """A model on this machine.

    Args:
        weights: folder as ``prepare_weights`` gives it.
        precision: ``bf16``, ``fp32`` or ``auto``; see ``compute_dtype``.
        chat: as ``Engine.chat``.
    """

    name: str
    version: dict[str, str] = {}  # noqa: RUF012 - further entries of the description

    def __init__(self, weights: Path, precision: str, chat: bool = False) -> None:
        super().__init__(chat)
        if chat and not getattr(load_tokenizer(weights), "chat_template", None):
            raise InvalidInput("llm.chat", True, f"must be false for {weights}: its tokenizer has no chat template")
        self._weights, self._dtype = weights, compute_dtype(precision)

    @property
    def description(self) -> dict[str, Any]:
        """Weights by their digest, and the precision."""
        return {
            "engine": self.name,
            **self.version,
            "weights_digest": weights_digest(self._weights),
            "precision": str(self._dtype).removeprefix("torch."),
            "chat": self.chat,
        }


class TransformersEngine(_LocalEngine):
    """Plain batched ``generate`` of transformers, on the GPU if there is one.

    The reference for the other engines: the same weights served elsewhere must say the same.

    Args:
        weights: folder as ``prepare_weights`` gives it.
        precision: ``bf16``, ``fp32`` or ``auto``; see ``compute_dtype``.
        chat: as ``Engine.chat``.

    Raises:
        InvalidInput: no causal language model there, or, with ``chat``, no chat template.
    """

    name = "transformers"

    def __init__(self, weights: Path, precision: str, chat: bool = False) -> None:
        super().__init__(weights, precision, chat)
        self._tokenizer, self._model = load_tokenizer(weights), load_model(weights, self._dtype)

    def _answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        tokens = [self._tokens(prompt) for prompt in prompts]
        check_context(self._weights, max(map(len, tokens), default=0) + max_tokens)
        ends = self._ends()
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))  # like lengths together: few pads
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            said = generate(self._model, [tokens[i] for i in batch], max_tokens, ends)
            for number, spoken in zip(batch, said, strict=True):
                text = spoken[:-1] if spoken[-1] in ends else spoken
                yield Answer(
                    number,
                    self._tokenizer.decode(text, skip_special_tokens=True, clean_up_tokenization_spaces=False),
                    Cost(len(tokens[number]), len(spoken), requests=1),
                )

    def _tokens(self, prompt: str) -> Tokens:
        if not self.chat:
            return tuple(self._tokenizer(prompt).input_ids)
        message = [{"role": "user", "content": prompt}]
        text = self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)  # the template wrote them

    def _ends(self) -> list[int]:
        """The tokens that end a completion."""
        ends = self._model.generation_config.eos_token_id
        return [ends] if isinstance(ends, int) else list(ends or ())


class VllmEngine(_LocalEngine):
    """Greedy generation by vLLM (Kwon et al. 2023) in this process; for GPUs and large models.

    Written for vLLM 0.32: ``LLM``, ``SamplingParams``, ``LLM.generate`` and ``LLM.chat``.

    Args:
        weights: folder as ``prepare_weights`` gives it.
        precision, chat: as for ``TransformersEngine``.

    Raises:
        InvalidInput: vLLM is not installed; says how to get it. With ``chat``: no chat template.
    """

    name = "vllm"

    def __init__(self, weights: Path, precision: str, chat: bool = False) -> None:
        check_vllm()
        import vllm

        super().__init__(weights, precision, chat)
        self.version, self._sampling = {"version": str(vllm.__version__)}, vllm.SamplingParams
        self._llm = vllm.LLM(
            model=str(weights),
            dtype=str(self._dtype).removeprefix("torch."),
            load_format="safetensors",
            enable_prefix_caching=True,  # prompts of one first cluster begin alike
            seed=0,
        )

    def _answers(self, prompts: Sequence[str], max_tokens: int) -> Iterator[Answer]:
        greedy = self._sampling(temperature=0.0, max_tokens=max_tokens)
        if self.chat:
            messages = [[{"role": "user", "content": prompt}] for prompt in prompts]
            outputs = self._llm.chat(messages, greedy, use_tqdm=False)
        else:
            outputs = self._llm.generate(list(prompts), greedy, use_tqdm=False)
        for number, output in enumerate(outputs):
            said = output.outputs[0]
            yield Answer(number, said.text, Cost(len(output.prompt_token_ids), len(said.token_ids), requests=1))


def check_vllm() -> None:
    """Check that vLLM is installed, without importing it.

    Raises:
        InvalidInput: it is not; says how to get it.
    """
    if importlib.util.find_spec("vllm") is None:
        raise InvalidInput("llm.engine", "vllm", _HOW_TO_GET_VLLM)
