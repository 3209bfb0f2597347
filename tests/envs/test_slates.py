import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.slates import draw_candidates, fill_slates
from sim.arrays import repeats
from sim.errors import InvalidInput
from sim.random import RandomStream

STREAM = RandomStream(0, "candidates")


@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=4))
def test_repeats_equals_a_walk_through_each_row(rows):
    expected = [[value in row[:i] for i, value in enumerate(row)] for row in rows]
    assert repeats(np.array(rows)).tolist() == expected


def test_a_repeated_position_gets_the_first_candidate_that_nobody_named():
    candidates = np.array([[10, 11, 12, 13, 14, 15]])
    items, repeated = fill_slates(candidates, np.array([[2, 2, 0, 2, 3]]))
    # Named: 0, 2, 3. The two invalid slots get the unnamed 1 and 4.
    assert items.tolist() == [[12, 11, 10, 14, 13]]
    assert repeated.tolist() == [2]


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_a_slate_is_distinct_and_keeps_what_was_named_first(action):
    items, repeated = fill_slates(np.arange(20, 26)[None], np.array([action]))
    assert len(set(items[0].tolist())) == 6
    assert repeated[0] == 6 - len(set(action))
    for i, position in enumerate(action):
        if position not in action[:i]:
            assert items[0, i] == 20 + position


def test_candidates_are_distinct_live_not_excluded_and_independent_of_the_batch():
    live = np.arange(0, 300, 3)  # 100 items
    exclude = np.tile(np.r_[live[:40], [-1] * 10], (30, 1))
    user = np.arange(30)
    together = draw_candidates(STREAM, user, live, exclude, 50)
    assert together.shape == (30, 50)
    for row in together:
        assert len(set(row.tolist())) == 50
        assert set(row.tolist()) <= set(live[40:].tolist())
    # Few of the 60 items left are not drawn, so some need many rounds: those must not disturb others.
    for i in user:
        alone = draw_candidates(STREAM, user[i : i + 1], live, exclude[:1], 50)
        np.testing.assert_array_equal(alone[0], together[i])


def test_every_item_is_a_candidate_equally_often():
    user, live = np.arange(20_000), np.arange(10)
    drawn = draw_candidates(STREAM, user, live, np.full((len(user), 1), 4), 3)
    count = np.bincount(drawn.ravel(), minlength=10)
    assert count[4] == 0
    share = np.delete(count, 4) / len(user)
    # 3 of 9: a share of 1/3 with a standard error of sqrt(2/9 / 20000) = 0.0033; five of them.
    assert np.abs(share - 1 / 3).max() < 0.017


def test_too_many_candidates_are_refused():
    with pytest.raises(InvalidInput, match=r"num_candidates=8: must be at most 7"):
        draw_candidates(STREAM, np.arange(2), np.arange(10), np.full((2, 3), -1), 8)
