import numpy as np
import pytest

from agents.llm.curve import FINE_TUNING, HELD_OUT, LATER_DAYS, CurvePoints, best_step, peaks
from agents.llm.evaluation import Samples
from agents.llm.model import load_model, load_tokenizer
from agents.llm.prompt import tokenise_prompts
from sim.random import RandomStream


def point(step, match, held, later, loss):
    return {
        "step": step,
        "match_rate": match,
        HELD_OUT: {"recall@10": held},
        LATER_DAYS: {"recall@10": later},
        "held_out_loss": loss,
    }


CURVE = [
    point(0, 0.0, None, 0.1, 6.0),
    point(10, 0.96, 0.3, 0.2, 2.0),
    point(20, 0.99, 0.2, 0.9, 1.0),
    point(30, 0.99, 0.3, 0.9, 1.5),
]


def test_the_best_step_is_chosen_without_the_later_days():
    assert best_step(CURVE[:3]) == 10  # the same match rate in tenths, and the better held-out recall
    assert best_step(CURVE) == 30  # the latest of equals
    assert best_step(CURVE[:1]) == 0


def test_peaks():
    assert peaks(CURVE) == {
        "match_rate": {"step": 20, "value": 0.99},
        HELD_OUT: {"recall@10": {"step": 10, "value": 0.3}},
        LATER_DAYS: {"recall@10": {"step": 20, "value": 0.9}},
        "held_out_loss": {"step": 20, "value": 1.0},
    }
    assert peaks(CURVE[:1])[HELD_OUT] == {"recall@10": None}


def test_a_point_has_every_set(small_weights, clusters):
    import torch

    tokenizer = load_tokenizer(small_weights)
    prompts = tokenise_prompts(clusters, 3, tokenizer)
    some, none = np.array([0, 1, 2]), np.zeros(0, int)
    samples, empty = Samples(some, some + 3, some + 6), Samples(none, none, none)
    model = load_model(small_weights, torch.float32)
    sets = {FINE_TUNING: samples, HELD_OUT: empty, LATER_DAYS: samples}
    found = CurvePoints(tokenizer, prompts, sets, 1.0, RandomStream(0, "curve")).at(7, model)
    assert found["step"] == 7
    assert found[FINE_TUNING] == found[LATER_DAYS]
    assert 0 <= found[FINE_TUNING]["recall@1"] <= found[FINE_TUNING]["recall@10"] <= 1
    assert found[HELD_OUT] == {"recall@1": None, "recall@10": None}
    assert found["held_out_loss"] is None
    assert found["match_rate"] == pytest.approx(0)
