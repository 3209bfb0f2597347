import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chisquare

from agents.slate import excluded_positions, sample_slate, top_candidates, top_in_chunks
from sim.errors import InvalidInput
from tests.agents.planted import STREAM

SCORES = np.array([0.3, 1.2, -0.5, 0.9, 0.0])
ITEMS = np.array([10, 11, 12, 13, 14])


def stated_probability(slate, temperature, exploration):
    """The probability of a whole slate, by the definition and nothing else."""
    left, product = list(range(len(SCORES))), 1.0
    for chosen in slate:
        weight = np.exp(SCORES[left] / temperature)
        softmax = dict(zip(left, weight / weight.sum(), strict=True))
        greedy = max(left, key=lambda c: SCORES[c])
        product *= (1 - exploration) * (chosen == greedy) + exploration * softmax[chosen]
        left.remove(chosen)
    return product


@pytest.mark.parametrize(("temperature", "exploration"), [(1.0, 1.0), (0.5, 0.3), (2.0, 0.1)])
def test_propensities_are_the_frequencies(temperature, exploration):
    num = 60_000
    everyone = np.arange(num)
    slates = sample_slate(
        np.tile(SCORES, (num, 1)), np.tile(ITEMS, (num, 1)), 2, temperature, exploration, everyone, STREAM.at("slate")
    )
    pairs = list(itertools.permutations(range(5), 2))
    expected = np.array([stated_probability(pair, temperature, exploration) for pair in pairs])
    code = (slates.items[:, 0] - 10) * 5 + slates.items[:, 1] - 10
    observed = np.array([(code == a * 5 + b).sum() for a, b in pairs])
    assert expected.sum() == pytest.approx(1)
    assert chisquare(observed, expected * num).pvalue > 1e-3
    said = slates.propensity.prod(axis=1)
    truth = {a * 5 + b: p for (a, b), p in zip(pairs, expected, strict=True)}
    assert said == pytest.approx([truth[c] for c in code], rel=1e-5)


def test_without_exploration_the_best_come_in_order_and_for_certain():
    slates = sample_slate(SCORES[None], ITEMS[None], 5, 1.0, 0.0, np.array([3]), STREAM)
    assert slates.items.tolist() == [[11, 13, 10, 14, 12]]
    assert (slates.propensity == 1).all()


def test_a_user_gets_the_same_slate_in_any_batch():
    scores = STREAM.at("batch").normal(np.arange(40), 12)
    items = np.tile(np.arange(12), (40, 1))
    everyone = sample_slate(scores, items, 4, 1.0, 0.5, np.arange(40), STREAM)
    some = np.array([7, 21, 22])
    alone = sample_slate(scores[some], items[some], 4, 1.0, 0.5, some, STREAM)
    assert (alone.items == everyone.items[some]).all()
    assert (alone.propensity == everyone.propensity[some]).all()


def test_ties_go_to_the_earlier_candidate():
    slates = sample_slate(np.zeros((1, 4)), np.array([[9, 3, 7, 1]]), 4, 1.0, 0.0, np.array([0]), STREAM)
    assert slates.items.tolist() == [[9, 3, 7, 1]]


def test_extreme_scores_do_not_overflow():
    scores = np.array([[1e4, 0.0, -1e4, -1e4]])
    slates = sample_slate(scores, np.arange(4)[None], 4, 0.01, 1.0, np.array([0]), STREAM)
    assert sorted(slates.items[0]) == [0, 1, 2, 3]
    assert (slates.propensity > 0).all()
    assert (slates.propensity <= 1).all()


@pytest.mark.parametrize(
    ("scores", "candidates", "message"),
    [
        ([[1.0, 2.0]], [[5, -1]], "user 8 needs 2 items"),
        ([[1.0, -np.inf]], [[5, 6]], "user 8 needs 2 items"),
        ([[1.0, np.nan]], [[5, 6]], "NaN"),
    ],
)
def test_what_cannot_fill_a_slate_is_refused(scores, candidates, message):
    with pytest.raises(InvalidInput, match=message):
        sample_slate(np.array(scores), np.array(candidates), 2, 1.0, 0.1, np.array([8]), STREAM)


@given(
    scores=hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 30)), elements=st.integers(0, 4)),
    pool=st.integers(1, 35),
    data=st.data(),
)
def test_top_candidates_are_those_of_a_full_sort(scores, pool, data):
    num_rows, num_items = scores.shape
    live = np.sort(np.random.default_rng(pool).permutation(100)[:num_items])
    exclude = data.draw(hnp.arrays(np.int64, (num_rows, 6), elements=st.integers(-1, 110)))
    best, items = top_candidates(scores.copy(), live, exclude, pool)
    for row in range(num_rows):
        allowed = [j for j in range(num_items) if live[j] not in exclude[row]]
        ranking = sorted(allowed, key=lambda j: (-scores[row, j], live[j]))[:pool]
        assert items[row][items[row] >= 0].tolist() == live[ranking].tolist()
        assert best[row][items[row] >= 0].tolist() == scores[row, ranking].tolist()
        assert (best[row][items[row] < 0] == -np.inf).all()


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), exploration=st.sampled_from([0.0, 0.2, 1.0]), num_slots=st.integers(1, 6))
def test_slates_are_distinct_alive_and_not_excluded(seed, exploration, num_slots):
    rng = np.random.default_rng(seed)
    live = np.sort(rng.permutation(60)[:40])
    exclude = rng.integers(-1, 60, (7, 12))
    scores = rng.normal(size=(7, 40)).astype(np.float32)
    best, items = top_in_chunks(lambda rows: scores[rows].copy(), live, exclude, pool=15)
    slates = sample_slate(best, items, num_slots, 1.0, exploration, np.arange(7), STREAM.at(seed))
    for row in range(7):
        assert len(set(slates.items[row])) == num_slots
        assert set(slates.items[row]) <= set(live) - set(exclude[row])
    assert ((slates.propensity > 0) & (slates.propensity <= 1)).all()


def test_nan_scores_are_refused():
    with pytest.raises(InvalidInput, match="diverged"):
        top_candidates(np.full((1, 5), np.nan, np.float32), np.arange(5), np.full((1, 1), -1), 3)


def test_excluded_positions_ignore_pads_and_strangers():
    actual = excluded_positions(np.array([2, 5, 9]), np.array([[-1, 9, 100], [3, -1, -1]]))
    assert actual.tolist() == [[False, False, True], [False, False, False]]
