import numpy as np
import pytest

from agents.llm.curve import FINE_TUNING, HELD_OUT, LATER_DAYS, CurvePoints, best_step, peaks
from agents.llm.evaluation import Samples, label_loss, summed_label_loss
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
        "held_out_loss_error": 0.1,
    }


CURVE = [
    point(0, 0.0, None, 0.1, 6.0),
    point(10, 0.96, 0.3, 0.2, 2.0),
    point(20, 0.99, 0.2, 0.9, 1.0),
    point(30, 0.99, 0.3, 0.9, 1.5),
]


def test_the_best_step_is_chosen_without_the_later_days():
    assert best_step(CURVE[:2]) == 10
    assert best_step(CURVE[:3]) == 20  # the lower loss, whatever a few pairs' recall says
    assert best_step(CURVE) == 20
    assert best_step([*CURVE, point(40, 0.9, 0.1, 0.1, 1.0)]) == 40  # the latest of equals
    unknown = [point(step, rate, None, 0.1, None) for step, rate in ((0, 0.9), (10, 0.1))]
    assert best_step(unknown) == 10
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
    actual = CurvePoints(tokenizer, prompts, sets, 1.0, RandomStream(0, "curve")).at(7, model)
    assert actual["step"] == 7
    assert actual[FINE_TUNING] == actual[LATER_DAYS]
    assert 0 <= actual[FINE_TUNING]["recall@1"] <= actual[FINE_TUNING]["recall@10"] <= 1
    assert actual[HELD_OUT] == {"recall@1": None, "recall@10": None}
    assert actual["held_out_loss"] is actual["held_out_loss_error"] is None
    assert actual["match_rate"] == pytest.approx(0)


def test_the_loss_s_error_is_how_it_varies_over_samples(small_weights, clusters):
    import torch

    prompts = tokenise_prompts(clusters, 3, load_tokenizer(small_weights))
    model = load_model(small_weights, torch.float32)
    first, second, label = np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7]), np.array([8, 9, 0, 1])
    samples = Samples(first, second, label)
    loss, error = label_loss(model, prompts, samples)
    tokens = np.array([len(prompts.label[c]) for c in label])
    with torch.inference_mode():
        each = [float(summed_label_loss(model, prompts, samples.where(np.array([i])))) for i in range(4)]
    assert loss == pytest.approx(sum(each) / tokens.sum(), rel=1e-5)
    assert error == pytest.approx(np.std(each - loss * tokens, ddof=1) / np.sqrt(4) / tokens.mean(), rel=1e-4)
    alone = label_loss(model, prompts, samples.where(np.array([2])))
    assert alone[0] == pytest.approx(each[2] / tokens[2], rel=1e-5)
    assert np.isnan(alone[1])
