"""What lies between the matrix products of a Llama-like layer, compiled: one pass over memory each.

Left to torch, these steps are a dozen operations a layer that each read and write everything, and
take twice as long as the products themselves. Sequences lie one after another in one array of
tokens, so nothing is padded. ``bfloat16``, which numpy does not have, is handled as its bits in
``uint16``; all sums are in fp32.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

_FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums may be reordered: no vector instructions otherwise
BLOCK = 8
"""Keys are weighted by this many at once: working memory must have room for a multiple of it."""


def _compiled(function: Callable[..., Any]) -> Any:
    return njit(cache=True, fastmath=_FAST, error_model="numpy")(function)


def _compiled_into(function: Callable[..., Any]) -> Any:
    """``_compiled``, and put into whoever calls it, where what is constant there is constant here too."""
    return njit(cache=True, fastmath=_FAST, error_model="numpy", forceinline=True)(function)


def as_float(x: Any) -> Any:
    """The fp32 number that an array's element stands for."""


def as_element(x: Any, like: Any) -> Any:
    """What an array keeps of an fp32 number: itself, or the nearest bf16 (ties to even)."""


@overload(as_float)
def _as_float(x: Any) -> Any:
    def widened(x: Any) -> Any:
        return np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)

    def same(x: Any) -> Any:
        return x

    return widened if x == types.uint16 else same


@overload(as_element)
def _as_element(x: Any, like: Any) -> Any:
    def rounded(x: Any, like: Any) -> Any:
        bits = np.float32(x).view(np.uint32)
        return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    def same(x: Any, like: Any) -> Any:
        return x

    return rounded if like == types.uint16 else same


@_compiled
def exponential(x: Any) -> Any:
    """e^x in fp32 to about 2 units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = x - n * np.float32(0.693359375)
    r = r - n * np.float32(-2.12194440e-4)
    p = np.float32(1.0 / 5040.0)
    p = p * r + np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    return p * np.uint32(np.uint32(np.int32(n) + np.int32(127)) << np.uint32(23)).view(np.float32)


@_compiled
def add_and_normalise(stream: Any, added: Any, weight: Any, epsilon: Any, out: Any) -> None:
    """Residual addition and RMSNorm (Zhang & Sennrich 2019): stream += added; out = norm(stream) * weight.

        norm(x) = x / sqrt(mean(x^2) + epsilon)

    Args:
        stream: (T, d) fp32, changed.
        added: (T, d) fp32 or bf16.
        weight: (d,) fp32.
        epsilon: fp32.
        out: (T, d) fp32 or bf16, written.
    """
    for t in range(stream.shape[0]):
        total = np.float32(0.0)
        for i in range(stream.shape[1]):
            value = stream[t, i] + as_float(added[t, i])
            stream[t, i] = value
            total += value * value
        scale = np.float32(1.0) / np.float32(math.sqrt(total / np.float32(stream.shape[1]) + epsilon))
        for i in range(stream.shape[1]):
            out[t, i] = as_element(stream[t, i] * scale * weight[i], out[0, 0])


@_compiled
def gate(gate_up: Any, out: Any) -> None:
    """SwiGLU (Shazeer 2020): out = gate / (1 + e^-gate) * up.

    Args:
        gate_up: (T, 2 n) fp32 or bf16, gate before up.
        out: (T, n), written.
    """
    n = out.shape[1]
    for t in range(out.shape[0]):
        for i in range(n):
            x = as_float(gate_up[t, i])
            out[t, i] = as_element(x / (np.float32(1.0) + exponential(-x)) * as_float(gate_up[t, n + i]), out[0, 0])


@_compiled_into
def _rotate(row: Any, start: Any, cosine: Any, sine: Any, scale: Any, half: Any, out: Any) -> None:
    """Rotary position embedding (Su et al. 2021): halves (a, b) -> (a cos - b sin, b cos + a sin)."""
    for i in range(half):
        a, b = as_float(row[start + i]), as_float(row[start + half + i])
        out[i] = (a * cosine[i] - b * sine[i]) * scale
        out[half + i] = (b * cosine[i] + a * sine[i]) * scale


@_compiled_into
def _weigh(query: Any, keys: Any, values: Any, seen: Any, size: Any, score: Any, mean: Any) -> None:
    """Softmax attention of one query over the first ``seen`` keys; ``mean`` is written."""
    highest = np.float32(-np.inf)
    for j in range(seen):
        total = np.float32(0.0)
        for i in range(size):
            total += query[i] * keys[j, i]
        score[j] = total
        highest = max(highest, total)
    total = np.float32(0.0)
    for j in range(seen):
        weight = exponential(score[j] - highest)
        score[j] = weight
        total += weight
    for j in range(seen, (seen + BLOCK - 1) // BLOCK * BLOCK):
        score[j] = np.float32(0.0)
    for i in range(size):
        mean[i] = np.float32(0.0)
    for j in range(0, seen, BLOCK):
        # Written out: the sums would else go through memory after each key.
        a, b, c, d = score[j], score[j + 1], score[j + 2], score[j + 3]
        e, f, g, h = score[j + 4], score[j + 5], score[j + 6], score[j + 7]
        for i in range(size):
            mean[i] += (
                (a * values[j, i] + b * values[j + 1, i] + c * values[j + 2, i] + d * values[j + 3, i])
                + (e * values[j + 4, i] + f * values[j + 5, i] + g * values[j + 6, i] + h * values[j + 7, i])
            ) / total


@cache
def attention(size: int) -> Any:
    """Compile attention for heads of ``size`` numbers; the loops are as long as that, known in advance.

    Only numbers may be shared with ``attend`` this way: numba keeps its machine code on disk under what it shares,
    and functions have another name in every process, so that nothing kept would ever be found.

    Returns:
        ``attend``; see there.
    """
    half = size // 2

    @_compiled
    def attend(
        qkv: Any,
        start: Any,
        branches: Any,
        past_keys: Any,
        past_values: Any,
        cosine: Any,
        sine: Any,
        out: Any,
        rotated: Any,
    ) -> None:
        """Attention of N sequences that all go on from one past of P tokens, the labels' trie below each.

        A sequence is causal up to its last W tokens: these are the trie's, and see what comes
        before the trie, their ancestors and themselves.

        Args:
            qkv: (T, (H + 2 G) size) fp32 or bf16: queries of H heads, keys and values of G, not rotated.
            start: (N + 1,) int64, where each sequence begins; the last is T.
            branches: (W, D) int64, path of each trie token from the trie's root to itself, as
                numbers of trie tokens; -1 pads.
            past_keys, past_values: (G, P, size) fp32, keys rotated.
            cosine, sine: (positions, size / 2) fp32.
            out: (T, H size), written.
            rotated: (G, T, size) fp32, written: the tokens' keys.
        """
        groups, past, tail = past_keys.shape[0], past_keys.shape[1], branches.shape[0]
        heads = out.shape[1] // size
        scale = np.float32(1.0 / math.sqrt(size))
        longest = 0
        for n in range(start.shape[0] - 1):
            longest = max(longest, start[n + 1] - start[n])
        room = (past + longest + branches.shape[1] + BLOCK - 1) // BLOCK * BLOCK
        keys, values = np.zeros((room, size), np.float32), np.zeros((room, size), np.float32)
        score, query, mean = np.zeros(room, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
        for g in range(groups):
            keys[:past] = past_keys[g]
            values[:past] = past_values[g]
            for n in range(start.shape[0] - 1):
                stem = start[n + 1] - start[n] - tail
                for s in range(stem + tail):
                    t = start[n] + s
                    place, seen = past + s, past + s + 1
                    if s >= stem:
                        place = past + stem - 1
                        for d in range(branches.shape[1]):
                            if branches[s - stem, d] >= 0:
                                place += 1
                        seen = place + 1
                    _rotate(
                        qkv[t], (heads + g) * size, cosine[place], sine[place], np.float32(1.0), half, rotated[g, t]
                    )
                    first = past + s
                    if s >= stem:
                        first = past + stem
                    for p in range(first, seen):
                        source = t
                        if s >= stem:
                            source = start[n] + stem + branches[s - stem, p - first]
                        for i in range(size):
                            keys[p, i] = rotated[g, source, i]
                            values[p, i] = as_float(qkv[source, (heads + groups + g) * size + i])
                    for h in range(g * heads // groups, (g + 1) * heads // groups):
                        _rotate(qkv[t], h * size, cosine[place], sine[place], scale, half, query)
                        _weigh(query, keys, values, seen, size, score, mean)
                        for i in range(size):
                            out[t, h * size + i] = as_element(mean[i], out[0, 0])

    return attend
