import math

import numpy as np
import pytest
from scipy.stats import t as student

from agents.transitions import Transitions
from experiments.knowledge.contestants import (
    CONTESTANTS,
    LLM,
    SCORED,
    all_scores,
    collaborative_vectors,
    mean_similarity,
    rivals,
)
from experiments.knowledge.measures import MEASURES, chance, ideal, measure
from experiments.knowledge.outcome import (
    CHANCE,
    IDEAL,
    SAME_MODEL,
    differences,
    estimates,
    mark,
    over_personas,
    verdict,
)
from tests.agents.llm.conftest import KEYWORDS, clusters_of
from tests.experiments.knowledge.planted import exam_of, random_exam


def clustered_values(rng, personas=40):
    """Values that a persona's questions have in common in part, and whose they are."""
    sizes = rng.integers(1, 15, personas)
    persona = np.repeat(np.arange(personas) * 3, sizes)
    values = 0.4 + np.repeat(rng.normal(0, 0.3, personas), sizes) + rng.normal(0, 0.2, len(persona))
    return values, persona


def error_of(estimate):
    return (estimate["high"] - estimate["low"]) / 2 / student.ppf(0.975, estimate["n"] - 1)


def test_standard_errors_are_the_cluster_robust_ones():
    values, persona = clustered_values(np.random.default_rng(0))
    got = over_personas(values, persona)
    groups = [values[persona == p] - values.mean() for p in np.unique(persona)]
    num = len(groups)
    closed = math.sqrt(num / (num - 1) * sum(g.sum() ** 2 for g in groups)) / len(values)
    assert got["value"] == pytest.approx(values.mean())
    assert got["n"] == num
    assert error_of(got) == pytest.approx(closed, rel=1e-6)
    assert error_of(got) > 1.8 * values.std() / math.sqrt(len(values))  # as if questions were independent


def test_standard_errors_are_those_of_resampled_personas():
    rng = np.random.default_rng(1)
    values, persona = clustered_values(rng, personas=60)
    total, size = np.bincount(persona // 3, weights=values), np.bincount(persona // 3)
    drawn = rng.integers(0, 60, (4000, 60))
    means = total[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    assert error_of(over_personas(values, persona)) == pytest.approx(means.std(), rel=0.08)


def test_asking_the_same_again_adds_no_certainty():
    values, persona = clustered_values(np.random.default_rng(2))
    once, often = over_personas(values, persona), over_personas(np.repeat(values, 5), np.repeat(persona, 5))
    assert often == pytest.approx(once)


def answers_for(exam, rng):
    """The language model knows the truth, the sentence encoder half of it, the others nothing."""
    noise = lambda: rng.random(exam.weight.shape)  # noqa: E731
    known = {LLM: exam.weight, "text_neighbour": exam.weight + 0.5 * noise()}
    return {name: known.get(name, np.zeros(exam.weight.shape)) for name in CONTESTANTS}


def test_a_planted_difference_is_detected_and_no_other():
    rng = np.random.default_rng(3)
    exams = [random_exam(rng), random_exam(rng)]
    exams[1] = exam_of(exams[1].weight, exams[1].candidate, persona=100 + np.arange(40))
    marks = mark(exams, [answers_for(exam, rng) for exam in exams])
    table, gaps = estimates(marks), differences(marks, marks)
    assert set(table) == {*CONTESTANTS, CHANCE, IDEAL}
    assert set(gaps) == {*CONTESTANTS, CHANCE, SAME_MODEL} - {LLM}
    for name in MEASURES:
        best = np.concatenate([ideal(exam)[name] for exam in exams])
        nothing = np.concatenate([chance(exam)[name] for exam in exams])
        assert table[LLM][name]["value"] == pytest.approx(best.mean())
        assert table["counts"][name]["value"] == pytest.approx(nothing.mean())
        assert gaps["counts"][name]["value"] == pytest.approx((best - nothing).mean())
        assert gaps[SAME_MODEL][name]["value"] == 0
    assert table[CHANCE]["auc"] == {"value": 0.5, "low": None, "high": None, "n": 80}
    assert verdict(gaps[CHANCE]["auc"]) == "above"
    assert verdict(gaps["text_neighbour"]["affinity@5"]) == "above"
    assert verdict(gaps[SAME_MODEL]["auc"]) == "no difference seen"
    assert verdict({"value": -1.0, "low": -2.0, "high": -0.5, "n": 9}) == "below"


def test_marks_of_the_same_questions_are_recognised():
    rng = np.random.default_rng(4)
    exam = random_exam(rng)
    one, same = mark([exam], [answers_for(exam, rng)]), mark([exam], [answers_for(exam, rng)])
    fewer = exam_of(exam.weight, exam.candidate & (np.arange(30) != 7))
    assert one.same_questions(same)
    assert not one.same_questions(mark([fewer], [answers_for(fewer, rng)]))


def test_pmi_takes_off_what_a_label_gets_anyway():
    exam = exam_of([[0, 0, 0.9, 0.0]])
    scores = {"raw": np.log(np.array([[0.1, 0.1, 0.2, 0.6]])), "prior": np.log(np.array([0.2, 0.1, 0.1, 0.6]))}
    others = {name: np.zeros((1, 4)) for name in ("text_neighbour", "recorded", "svd", "counts")}
    actual = all_scores(dict.fromkeys(SCORED, scores), others, 1.0, 1.0)
    assert list(actual) == list(CONTESTANTS)
    assert measure(exam, actual["llm_raw"])["recall@1"] == [0]  # a label that is likely everywhere
    assert measure(exam, actual["llm"])["recall@1"] == [1]
    np.testing.assert_allclose(np.exp(actual["llm"]), [[0.5, 1, 2, 1]])
    np.testing.assert_array_equal(np.argsort(actual["llm_text"]), np.argsort(actual["llm"]))  # the encoder is silent


def blocks():
    """Links of two groups of eight: all within a group but one pair, which the log never showed."""
    links = np.full((16, 16), 2)
    links[:8, :8] = links[8:, 8:] = 20
    np.fill_diagonal(links, 0)
    links[0, 1] = links[1, 0] = 0
    return links


def test_svd_recovers_what_members_of_a_group_share():
    vectors = collaborative_vectors(blocks(), 2)
    cosine = vectors @ vectors.T
    assert cosine[0, 1] > 0.9
    assert cosine[0, 8:].max() < 0.3
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    lonely = blocks()
    lonely[5] = lonely[:, 5] = 0
    assert (collaborative_vectors(lonely, 2)[5] == 0).all()


def test_what_was_filtered_and_what_met_by_chance_are_the_same_to_svd():
    with_chance, without = blocks(), blocks()
    rare = (slice(0, 8), slice(8, 16))
    with_chance[rare] = with_chance[rare[::-1]] = 1  # far below what is expected, yet there
    without[rare] = without[rare[::-1]] = 0
    np.testing.assert_allclose(
        np.abs(np.sum(collaborative_vectors(with_chance, 2) * collaborative_vectors(without, 2), axis=1)), 1, atol=0.02
    )


def test_each_rival_scores_all_questions_by_its_own_rule():
    exam = exam_of(np.tile([0, 0, 0.5, *[0] * 7], (1, 1)))
    rows = np.array([[0, 1, 2]] * 6 + [[3, 4, 5]] * 3)
    kept = Transitions(rows[:, 0], rows[:, 1], rows[:, 2], np.zeros(9), np.zeros(9))
    actual = rivals(clusters_of(KEYWORDS), 3, kept, 4, 20.0, exam)
    assert {name: scores.shape for name, scores in actual.items()} == dict.fromkeys(
        ("text_neighbour", "recorded", "svd", "counts"), (1, 10)
    )
    assert actual["counts"].argmax() == 2
    # MiniLM: of what espresso's twin is asked about, bread is nearer than keyboards
    assert actual["text_neighbour"][0, 2] > actual["text_neighbour"][0, 7]
    # a strong model's lists: of home espresso and sourdough, the lists name each other; the twin is no label
    assert actual["recorded"][0, 2] > actual["recorded"][0, 7]
    assert np.isfinite(actual["recorded"]).all()
    similarity = np.arange(100.0).reshape(10, 10)
    np.testing.assert_array_equal(mean_similarity(similarity, exam)[0], (similarity[0] + similarity[1]) / 2)


def test_smoothing_of_counts_is_that_of_the_config():
    exam = exam_of(np.tile([0, 0, 0.5, *[0] * 7], (1, 1)))
    kept = Transitions(*np.array([[0, 1, 2]] * 6).T, np.zeros(6), np.zeros(6))
    actual = [rivals(clusters_of(KEYWORDS), 3, kept, 4, k, exam)["counts"][0, 2] for k in (5.0, 20.0)]
    # p0 = 7/16; p1 = (12 + k p0) / (12 + k); p2 = (6 + k p1) / (6 + k)
    np.testing.assert_allclose(actual, [(6 + k * (12 + k * 7 / 16) / (12 + k)) / (6 + k) for k in (5.0, 20.0)])
