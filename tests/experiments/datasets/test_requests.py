"""Days, requests and slots from time stamps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.datasets.requests import DAY, first_of_each, into_requests


def test_by_hand():
    user = np.array([1, 0, 0, 1, 0])
    time = np.array([5 * DAY + 7, 5 * DAY, 4 * DAY + 9, 5 * DAY + 7, 5 * DAY])
    places = into_requests(user, time)
    assert places.order.tolist() == [2, 1, 4, 0, 3]  # user 0 first on day 4, then with two rows at once
    assert places.day.tolist() == [0, 1, 1, 1, 1]
    assert places.step.tolist() == [0, 0, 0, 0, 0]
    assert places.slot.tolist() == [0, 0, 1, 0, 1]


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3 * DAY // 1000)), min_size=1, max_size=40)


@given(ROWS)
def test_the_order_is_a_logs_and_each_user_s_own_time_runs_forward(rows):
    user = np.array([u for u, _ in rows])
    time = np.array([t // 20_000 * 20_000_000 for _, t in rows])
    places = into_requests(user, time)
    assert sorted(places.order.tolist()) == list(range(len(rows)))
    keys = list(zip(places.day, places.step, user[places.order], places.slot, strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    for one in set(user.tolist()):
        own = time[places.order][user[places.order] == one]
        assert (np.diff(own) >= 0).all()
        at = places.step[user[places.order] == one] + 1000 * places.day[user[places.order] == one]
        np.testing.assert_array_equal(np.diff(own) == 0, np.diff(at) == 0)


def test_the_first_of_equal_rows_stays():
    assert first_of_each(np.array([1, 0, 1, 1]), np.array([2, 2, 2, 3])).tolist() == [True, True, False, True]
