"""Whether this machine multiplies matrices faster in bf16: measured, since hardware flags don't show it.

A processor may support bf16 and have a library that doesn't use it, or emulate it ten times slower
than fp32. Results depend on the choice, so the choice must be stable: bf16 is taken only where it is clearly
faster (``MARGIN``), a process measures once, and runs and tables record what they were made in.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache

import torch

MARGIN = 1.5
"""How many times faster bf16 must be. Where it is native it is 2 to 8 times as fast, where emulated far slower."""

_ROWS = 512  # tokens of a batch, about
_WIDTH, _INNER = 576, 1536  # of SmolLM2-135M's feed-forward layers; larger models gain no less
_ROUNDS = 7
_HOPELESS = 0.5  # Twice as slow in the first two rounds: bf16 is emulated, and more rounds cost seconds for nothing.


def bf16_pays() -> bool:
    """Whether this machine's products are to be taken in bf16."""
    return bf16_speed(_WIDTH, _INNER) >= MARGIN


@cache
def bf16_speed(width: int, inner: int) -> float:
    """How many times as fast as in fp32 the products of a feed-forward layer are in bf16, all three of its training.

    One thread (on the GPU, if there is one), the median of ``_ROUNDS`` alternating rounds by
    processor time, so that other processes matter little; fewer where bf16 is emulated.

    Args:
        width: of the hidden states.
        inner: width of the layer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        products = {dtype: _products(width, inner, dtype) for dtype in (torch.float32, torch.bfloat16)}
        ratios = []
        for _ in range(1 + _ROUNDS):  # the first warms up
            seconds = {dtype: _seconds(product) for dtype, product in products.items()}
            ratios.append(seconds[torch.float32] / seconds[torch.bfloat16])
            if len(ratios) == 2 and max(ratios) < _HOPELESS:
                break
    finally:
        torch.set_num_threads(threads)
    return statistics.median(ratios[1:])


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
