import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Events
from tests.agents.planted import make_log


def random_log(rng, num, day):
    user, item = rng.integers(0, 5, num), rng.integers(0, 1000, num)
    consumed = rng.random(num) < 0.8
    positive = consumed & (rng.random(num) < 0.6)
    return make_log(user, item, item % 3, np.full(num, day), positive, consumed)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_past_of_an_impression_is_what_was_consumed_before_it(seed):
    """Against a loop over the rows."""
    rng = np.random.default_rng(seed)
    old, new = random_log(rng, rng.integers(0, 40), 0), random_log(rng, rng.integers(0, 60), 1)
    events, is_new = Events.of(old).followed_by(Events.of(new))
    end = events.pasts(new, is_new)
    for row in range(len(new)):
        user = new.user[row]
        before = (new.user == user) & (np.arange(len(new)) < row)
        num_past = (old.consumed & (old.user == user)).sum() + (new.consumed & before).sum()
        assert end[row] == np.searchsorted(events.user, user) + num_past
    assert (events.item[end[new.consumed]] == new.item[new.consumed]).all()


def test_merging_keeps_each_users_order():
    bits = np.array([False, True, False])
    early = Events(np.array([1, 1, 4]), np.array([10, 11, 12]), np.zeros(3, np.float32), np.ones(3, bool), bits)
    late = Events(np.array([0, 1]), np.array([20, 21]), np.zeros(2, np.float32), np.zeros(2, bool), bits[:2])
    merged, is_new = early.followed_by(late)
    assert merged.user.tolist() == [0, 1, 1, 1, 4]
    assert merged.item.tolist() == [20, 10, 11, 21, 12]
    assert is_new.tolist() == [True, False, False, True, False]
    assert merged.surprising.tolist() == [False, False, True, True, False]
    assert merged.last(2).item.tolist() == [20, 11, 21, 12]
    assert merged.windows(np.array([1, 0]), np.array([4, 0]), 4).tolist() == [[-1, 1, 2, 3], [-1, -1, -1, -1]]


def test_save_and_load(tmp_path):
    events = Events.of(random_log(np.random.default_rng(0), 30, 0))
    events.save(tmp_path / "events")
    assert all((getattr(Events.load(tmp_path / "events"), c) == getattr(events, c)).all() for c in vars(events))
