"""Measures on lists whose worth is known by hand, and what must hold of any."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.offline.measures import SMOOTHING, accuracy, chance, miscalibration, novelty, popularity_of
from experiments.offline.tasks import Task
from tests.agents.planted import make_log


def task_of(targets, size=20, unseen=(), candidates=None):
    """Of lists of targets, one a user; ``unseen`` are targets of clusters new to everybody."""
    row = np.repeat(np.arange(len(targets)), [len(each) for each in targets])
    target = np.array([t for each in targets for t in sorted(each)], np.int64)
    num = np.full(len(targets), size if candidates is None else candidates)
    return Task("next_item", size, row, target, np.isin(target, list(unseen)), num, {})


def test_measures_by_hand():
    answers = np.array([[4, 7, 9], [1, 2, 3], [5, 6, -1], [0, 1, 2]])
    task = task_of([[7, 9, 11, 12], [1], [6, 8], []], unseen=[9, 6])
    actual = accuracy(answers, task)
    at = 1 / np.log2([2, 3, 4])
    assert task.users.tolist() == [0, 1, 2]  # the fourth has no target
    assert actual["recall"] == pytest.approx([2 / 3, 1, 1 / 2])
    assert actual["ndcg"] == pytest.approx([(at[1] + at[2]) / at.sum(), 1, at[1] / (at[0] + at[1])])
    assert actual["mrr"] == pytest.approx([1 / 2, 1, 1 / 2])
    assert actual["serendipity"] == pytest.approx([1 / 3, 0, 1 / 3])


@st.composite
def lists(draw):
    size = draw(st.integers(2, 12))
    length = draw(st.integers(1, size))
    users = draw(st.integers(1, 4))
    targets = [draw(st.sets(st.integers(0, size - 1), min_size=1)) for _ in range(users)]
    answers = [draw(st.permutations(range(size)))[:length] for _ in range(users)]
    unseen = draw(st.sets(st.integers(0, size - 1)))
    return size, targets, np.array(answers), unseen


@given(lists())
def test_measures_keep_their_bounds(drawn):
    size, targets, answers, unseen = drawn
    actual = accuracy(answers, task_of(targets, size, unseen))
    for values in actual.values():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    assert ((actual["recall"] == 0) == (actual["mrr"] == 0)).all()
    assert ((actual["ndcg"] == 0) == (actual["mrr"] == 0)).all()


@given(lists())
def test_a_perfect_ranking_has_one_and_a_list_of_misses_none(drawn):
    size, targets, answers, _ = drawn
    length = answers.shape[1]
    orders = [[*sorted(each), *sorted(set(range(size)) - each)] for each in targets]
    task = task_of(targets, size)
    best = accuracy(np.array(orders)[:, :length], task)
    for measure in ("recall", "ndcg", "mrr"):
        assert best[measure] == pytest.approx(np.ones(len(targets)))
    worst = accuracy(np.array(orders)[:, ::-1][:, :length], task)
    missed = np.array([len(each) <= size - length for each in targets])
    assert (worst["recall"][missed] == 0).all()


@given(lists())
def test_a_hit_at_a_higher_rank_counts_no_less(drawn):
    size, targets, answers, _ = drawn
    task = task_of(targets, size)
    pairs = zip(answers.tolist(), targets, strict=True)
    hits_first = np.array([sorted(row, key=lambda a, each=each: a not in each) for row, each in pairs])
    plain, sorted_ = accuracy(answers, task), accuracy(hits_first, task)
    assert (sorted_["recall"] == plain["recall"]).all()
    assert (sorted_["ndcg"] >= plain["ndcg"] - 1e-12).all()
    assert (sorted_["mrr"] >= plain["mrr"]).all()


@pytest.mark.parametrize(
    ("size", "targets", "length"),
    [(5, [0, 3], 3), (6, [2], 2), (4, [0, 1, 2, 3], 3), (3, [1], 5), (7, [0, 1, 2, 6], 4)],
)
def test_chance_is_the_mean_over_all_lists(size, targets, length):
    """Every order of the candidates is as likely as any other; lists longer than the candidates end in pads."""
    task = task_of([targets], 10, unseen=targets[:1], candidates=size)
    orders = np.array(list(itertools.permutations(range(size), min(size, length))))
    padded = np.concatenate([orders, np.full((len(orders), max(length - size, 0)), -1)], axis=1)
    of_all = accuracy(padded, task_of([targets] * len(orders), 10, unseen=targets[:1]))
    exact = chance(task, length)
    for measure, values in of_all.items():
        assert exact[measure] == pytest.approx([values.mean()]), measure


def test_novelty_is_self_information():
    log = make_log([0, 1, 2, 0, 0], [1, 1, 1, 2, 2], [0] * 5, [0] * 5, consumed=[1, 1, 1, 1, 0], positive=[0] * 5)
    popularity = popularity_of(log, "item", 4, 3)
    assert popularity == pytest.approx([1 / 4, 1, 1 / 2, 1 / 4])
    assert novelty(np.array([[1, 2, 3], [0, -1, -1]]), popularity) == pytest.approx([1, 2])


def test_a_slate_as_mixed_as_the_past_is_calibrated():
    row, cluster = np.array([0, 0, 0, 0, 1, 1]), np.array([2, 2, 2, 5, 1, 1])
    answers = np.array([[2, 5, 2, 2], [2, 2, 5, 5]])
    actual = miscalibration(answers, row, cluster, 6)
    assert actual[0] == pytest.approx(0, abs=1e-12)
    assert actual[1] == pytest.approx(np.log(1 / SMOOTHING))  # nothing of what the second user liked
    half = miscalibration(np.array([[2, 2, 5, 5]]), row[:4], cluster[:4], 6)
    mixed = np.array([0.99 * 0.5 + 0.01 * 0.75, 0.99 * 0.5 + 0.01 * 0.25])
    assert half == pytest.approx([0.75 * np.log(0.75 / mixed[0]) + 0.25 * np.log(0.25 / mixed[1])])
