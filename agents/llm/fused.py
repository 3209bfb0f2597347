"""A Llama-like model's forward pass for bulk inference on processors.

The matrix products are torch's (``torch.nn.functional.linear``, bf16 or fp32); what lies between
them is compiled (``agents/llm/kernels.py``). Tokens of all sequences lie in one array without
pads, and the residual stream is kept in fp32, so that bf16 rounds only what goes into a product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear

from agents.llm.kernels import add_and_normalise, attention, gate
from agents.llm.prompt import Tokens
from agents.llm.trie import LabelTrie
from sim.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Past:
    """The cache of P tokens: a layer's keys (rotated) and values, (G, P, size) fp32 each."""

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    length: int


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer; products' in the computation's type, norms' in fp32."""

    norm: FloatArray  # (d,)
    qkv: torch.Tensor  # ((H + 2 G) size, d)
    out: torch.Tensor  # (d, H size)
    mlp_norm: FloatArray  # (d,)
    gate_up: torch.Tensor  # (2 n, d)
    down: torch.Tensor  # (d, n)


class FusedModel:
    """Runs many short sequences that share a beginning.

    Args:
        model: a causal language model (transformers) that ``fusible`` says yes to.
        longest: most tokens that a prompt and a label have together.
    """

    def __init__(self, model: Any, longest: int) -> None:
        config, body = model.config, model.base_model
        self.dtype: torch.dtype = model.dtype
        self.groups: int = config.num_key_value_heads
        self.size: int = body.layers[0].self_attn.head_dim
        self.epsilon = np.float32(config.rms_norm_eps)
        self.embedding: torch.Tensor = body.embed_tokens.weight  # (V, d)
        self.head: torch.Tensor = model.get_output_embeddings().weight  # (V, d)
        self.norm = _numbers(body.norm.weight)
        self.layers = [_layer(each) for each in body.layers]
        cosine, sine = body.rotary_emb(torch.zeros(1, 1, 1), torch.arange(longest)[None])  # (1, longest, size) each
        half = self.size // 2
        self.cosine, self.sine = (np.ascontiguousarray(x[0, :, :half].numpy(), np.float32) for x in (cosine, sine))
        self.attend = attention(self.size)

    @torch.inference_mode()
    def past(self, tokens: Tokens) -> Past:
        """Run the model over what sequences begin with; that may be nothing."""
        nothing = np.zeros((self.groups, 0, self.size), np.float32)
        past = Past(tuple((nothing, nothing) for _ in self.layers), 0)
        if not tokens:
            return past
        kept: list[tuple[FloatArray, FloatArray]] = []
        self._run(np.array(tokens), np.array([0, len(tokens)]), past, np.zeros((0, 0), np.int64), kept)
        return Past(tuple(kept), len(tokens))

    @torch.inference_mode()
    def label_log_probabilities(self, contexts: Sequence[Tokens], trie: LabelTrie, past: Past) -> FloatArray:
        """Score all labels after each of B contexts, as ``scoring.label_log_probabilities`` does.

        Args:
            contexts: B >= 1 token sequences that go on from ``past``.
            trie: of M labels.
            past: what all contexts begin with.

        Returns:
            (B, M) float32, log P(label | context) under the labels' constraint.
        """
        tail = len(trie.tokens)
        rows = [np.append(np.array(context, np.int64), trie.tokens) for context in contexts]
        start = np.concatenate([[0], np.cumsum([len(row) for row in rows])])  # (B + 1,)
        hidden = self._run(np.concatenate(rows), start, past, trie.paths, None)  # (T, d)
        last = torch.from_numpy(start[1:] - tail - 1)  # each prompt's last token
        total = torch.zeros(len(contexts), trie.num_labels)
        for node in trie.branchings:
            logits = hidden[last + 1 + node.column] @ self.head[torch.from_numpy(node.children)].float().T  # (B, k)
            total[:, node.labels] += torch.log_softmax(logits, dim=1)[:, node.child]
        return np.asarray(total.numpy())

    def _run(
        self,
        tokens: IntArray,
        start: IntArray,
        past: Past,
        branches: IntArray,
        kept: list[tuple[FloatArray, FloatArray]] | None,
    ) -> torch.Tensor:
        """(T, d) fp32, the last layer's normalised output; keys and values go to ``kept`` if that is a list."""
        stream = _numbers(self.embedding[torch.from_numpy(tokens)])  # (T, d)
        added = torch.zeros(stream.shape, dtype=self.dtype)
        inner = torch.empty_like(added)
        rotated = np.empty((self.groups, len(tokens), self.size), np.float32)
        mixed = torch.empty(len(tokens), self.layers[0].out.shape[1], dtype=self.dtype)
        gated = torch.empty(len(tokens), self.layers[0].down.shape[1], dtype=self.dtype)
        for layer, (keys, values) in zip(self.layers, past.layers, strict=True):
            add_and_normalise(stream, _bits(added), layer.norm, self.epsilon, _bits(inner))
            qkv = linear(inner, layer.qkv)  # (T, (H + 2 G) size)
            self.attend(_bits(qkv), start, branches, keys, values, self.cosine, self.sine, _bits(mixed), rotated)
            if kept is not None:
                kept.append((rotated.copy(), self._values(qkv)))
            added = linear(mixed, layer.out)
            add_and_normalise(stream, _bits(added), layer.mlp_norm, self.epsilon, _bits(inner))
            gate(_bits(linear(inner, layer.gate_up)), _bits(gated))
            added = linear(gated, layer.down)
        out = np.empty_like(stream)
        add_and_normalise(stream, _bits(added), self.norm, self.epsilon, out)
        return torch.from_numpy(out)

    def _values(self, qkv: torch.Tensor) -> FloatArray:
        """(G, T, size) fp32."""
        last = qkv[:, -self.groups * self.size :].float().view(-1, self.groups, self.size)
        return np.ascontiguousarray(last.transpose(0, 1).numpy())


def fusible(config: Any, dtype: torch.dtype) -> bool:
    """Whether ``FusedModel`` computes what such a model computes: a plain Llama, on a processor.

    Args:
        config: of the model (transformers).
        dtype: of its weights.
    """
    return bool(
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and dtype in (torch.float32, torch.bfloat16)
        and not torch.cuda.is_available()
    )


def _layer(layer: Any) -> _Layer:
    attention_, mlp = layer.self_attn, layer.mlp
    return _Layer(
        norm=_numbers(layer.input_layernorm.weight),
        qkv=torch.cat([attention_.q_proj.weight, attention_.k_proj.weight, attention_.v_proj.weight]).detach(),
        out=attention_.o_proj.weight.detach(),
        mlp_norm=_numbers(layer.post_attention_layernorm.weight),
        gate_up=torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).detach(),
        down=mlp.down_proj.weight.detach(),
    )


def _numbers(tensor: torch.Tensor) -> FloatArray:
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _bits(tensor: torch.Tensor) -> Any:
    """The tensor's memory as an array: fp32, or bf16's bits."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
