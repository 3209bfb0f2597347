"""Whether this machine multiplies matrices faster in bf16: measured, since hardware flags don't tell.

A processor may know bf16 and have a library that doesn't use it, or emulate it ten times slower
than fp32. The choice becomes part of what a stage is hashed by, so it must not waver: bf16 is
taken only where it is clearly faster (``MARGIN``), and a process measures once.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from transformers import AutoConfig

MARGIN = 1.5
"""How many times faster bf16 must be. Where it is native it is 2 to 8 times as fast, where emulated far slower."""

_ROWS = 512  # tokens of a batch, about
_ROUNDS = 7


def measured_precision(weights: Path) -> str:
    """``bf16`` or ``fp32``: what a model's matrix products are to be taken in on this machine.

    Args:
        weights: the model's folder, as ``prepare_weights`` gives it.
    """
    config = AutoConfig.from_pretrained(weights, local_files_only=True).get_text_config(decoder=True)
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    return "bf16" if bf16_speed(config.hidden_size, inner) >= MARGIN else "fp32"


@cache
def bf16_speed(width: int, inner: int) -> float:
    """How many times as fast as in fp32 the products of a feed-forward layer are in bf16, all three of its training.

    One thread (on the GPU, if there is one), the median of ``_ROUNDS`` alternating rounds by
    processor time, so that other processes matter little.

    Args:
        width: of the hidden states.
        inner: width of the layer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        products = {dtype: _products(width, inner, dtype) for dtype in (torch.float32, torch.bfloat16)}
        rounds = [{dtype: _seconds(product) for dtype, product in products.items()} for _ in range(1 + _ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return statistics.median(each[torch.float32] / each[torch.bfloat16] for each in rounds[1:])  # the first warms up


def _products(width: int, inner: int, dtype: torch.dtype) -> Callable[[], None]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    hidden = torch.full((_ROWS, width), 0.5, dtype=dtype, device=device)
    weight = torch.full((inner, width), 0.5, dtype=dtype, device=device)

    def forward_and_backward() -> None:
        output = hidden @ weight.T
        torch.mm(output, weight)  # as the gradient of the inputs
        torch.mm(output.T, hidden)  # as the gradient of the weights
        if device == "cuda":
            torch.cuda.synchronize()

    return forward_and_backward


def _seconds(work: Callable[[], None]) -> float:
    # A GPU's work is not the processor's, which only waits for it.
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    begun = clock()
    work()
    return clock() - begun
