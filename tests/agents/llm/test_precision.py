import pytest
import torch

from agents.llm import precision
from agents.llm.model import compute_dtype
from agents.llm.precision import MARGIN, bf16_speed


@pytest.fixture(autouse=True)
def nothing_measured():
    bf16_speed.cache_clear()
    yield
    bf16_speed.cache_clear()


def with_seconds(monkeypatch, seconds):
    """Let products take so long, by their type; counts measurements."""
    asked = []

    def products(width, inner, dtype):
        asked.append((width, inner))
        return dtype

    monkeypatch.setattr(precision, "_products", products)
    monkeypatch.setattr(precision, "_seconds", lambda dtype: next(seconds[dtype]))
    return asked


def forever(value):
    while True:
        yield value


@pytest.mark.parametrize(
    ("ratio", "chosen"), [(4.0, "bfloat16"), (MARGIN, "bfloat16"), (1.2, "float32"), (0.1, "float32")]
)
def test_bf16_only_where_it_is_clearly_faster(monkeypatch, ratio, chosen):
    with_seconds(monkeypatch, {torch.float32: forever(ratio), torch.bfloat16: forever(1.0)})
    assert compute_dtype("auto") == getattr(torch, chosen)
    assert (compute_dtype("bf16"), compute_dtype("fp32")) == (torch.bfloat16, torch.float32)


def test_a_process_measures_once(monkeypatch):
    asked = with_seconds(monkeypatch, {torch.float32: forever(4.0), torch.bfloat16: forever(1.0)})
    assert compute_dtype("auto") == torch.bfloat16
    with_seconds(monkeypatch, {torch.float32: forever(1.0), torch.bfloat16: forever(1.0)})
    assert compute_dtype("auto") == torch.bfloat16
    assert len(asked) == 2


def test_a_disturbed_round_does_not_decide(monkeypatch):
    def disturbed():
        yield from (1.0, 1.0, 90.0, 1.0)
        yield from forever(1.0)

    with_seconds(monkeypatch, {torch.float32: forever(4.0), torch.bfloat16: disturbed()})
    assert bf16_speed(8, 16) == 4.0


def test_a_real_measurement_leaves_no_trace():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert 0.01 < bf16_speed(64, 128) < 100
    assert torch.get_num_threads() == threads
    assert (torch.get_rng_state() == state).all()


def test_emulation_is_seen_in_two_rounds(monkeypatch):
    rounds = []

    def counted():
        while True:
            rounds.append(1)
            yield 1.0

    with_seconds(monkeypatch, {torch.float32: forever(0.1), torch.bfloat16: counted()})
    assert bf16_speed(8, 16) == 0.1
    assert len(rounds) == 2
