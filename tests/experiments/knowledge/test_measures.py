from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from experiments.knowledge.measures import MEASURES, chance, ideal, measure
from tests.experiments.knowledge.planted import exam_of, random_exam


def test_a_question_by_hand():
    exam = exam_of([[0.0, 0.9, 0.0, 0.4, 0.6, 0.0]], [[1, 1, 1, 1, 0, 1]])  # 0.6 is no candidate
    got = measure(exam, np.array([[5.0, 4.0, 3.0, 2.0, 9.0, 1.0]]))  # order of candidates: 0, 1, 2, 3, 5
    assert got["recall@1"] == [0]
    assert got["recall@10"] == [1]  # five candidates: all are among ten
    assert got["affinity@1"] == [0]
    assert got["affinity@5"] == pytest.approx([1.3 / 5])
    assert got["auc"] == pytest.approx([3 / 6])  # of 2 x 3 pairs: 1 beats 2 and 5, 3 beats 5


def test_ranking_by_the_truth_gets_the_ideal():
    exam = random_exam(np.random.default_rng(0))
    best = measure(exam, 3 * exam.weight + 1)
    for name in MEASURES:
        np.testing.assert_allclose(best[name], ideal(exam)[name])
    assert (best["auc"] == 1).all()
    assert (best["recall@1"] == 1).all()
    assert (best["recall@10"] == 1).all()
    for row, got in enumerate(best["affinity@5"]):
        weights = np.sort(exam.weight[row, exam.candidate[row]])[::-1]
        assert got == pytest.approx(weights[:5].mean())
    assert (measure(exam, -exam.weight)["auc"] == 0).all()


def test_equal_scores_get_chance_exactly():
    exam = random_exam(np.random.default_rng(1))
    flat, num, hidden = measure(exam, np.full(exam.weight.shape, -2.5)), exam.candidate.sum(1), exam.hidden.sum(1)
    assert (flat["auc"] == 0.5).all()
    for k in (1, 10):
        depth = np.minimum(k, num)
        np.testing.assert_allclose(flat[f"recall@{k}"], depth * hidden / num / np.minimum(depth, hidden))
    mean = np.where(exam.candidate, exam.weight, 0).sum(1) / num
    np.testing.assert_allclose(flat["affinity@1"], mean)
    np.testing.assert_allclose(flat["affinity@5"], mean)
    for name, values in chance(exam).items():
        np.testing.assert_array_equal(values, flat[name])


def test_random_scores_get_chance_on_average():
    rng = np.random.default_rng(2)
    exam = random_exam(rng)
    draws = [measure(exam, rng.random(exam.weight.shape)) for _ in range(400)]
    for name in MEASURES:
        values = np.array([draw[name] for draw in draws])  # (400, T)
        error = values.std(axis=0).mean() / np.sqrt(values.size)
        assert abs(values.mean() - chance(exam)[name].mean()) < 4 * error


def test_ties_are_the_mean_over_all_orders():
    exam = exam_of([[0.9, 0.0, 0.4, 0.0, 0.7, 0.0]])
    tied = np.array([[2.0, 2.0, 1.0, 2.0, 1.0, 0.0]])
    got = measure(exam, tied)
    orders = [measure(exam, tied + 0.01 * np.array([order])) for order in permutations(range(6))]
    for name in MEASURES:
        assert got[name][0] == pytest.approx(np.mean([order[name][0] for order in orders]))


@given(st.integers(0, 10_000))
def test_auc_is_that_of_a_library_and_masked_labels_never_count(seed):
    rng = np.random.default_rng(seed)
    exam = random_exam(rng, num=5, labels=12)
    scores = rng.integers(0, 6, exam.weight.shape).astype(float)  # with ties
    got = measure(exam, scores)
    for row in range(len(exam)):
        shown = exam.candidate[row]
        assert got["auc"][row] == pytest.approx(roc_auc_score(exam.hidden[row, shown], scores[row, shown]))
    elsewhere = np.where(exam.candidate, scores, rng.choice([-1e9, 0, 3, 1e9], scores.shape))
    for name, values in measure(exam, elsewhere).items():
        np.testing.assert_array_equal(values, got[name])
