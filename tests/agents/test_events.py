import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Events
from agents.sequence import training_windows
from tests.agents.planted import make_log


def random_log(rng, num, day):
    user, item = rng.integers(0, 5, num), rng.integers(0, 1000, num)
    consumed = rng.random(num) < 0.8
    positive = consumed & (rng.random(num) < 0.6)
    return make_log(user, item, item % 3, np.full(num, day), positive, consumed)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), history=st.integers(2, 9))
def test_windows_cover_every_new_positive_once_with_its_true_past(seed, history):
    rng = np.random.default_rng(seed)
    old = Events.of(random_log(rng, rng.integers(0, 60), 0))
    events, is_new = old.followed_by(Events.of(random_log(rng, rng.integers(0, 60), 1)))
    windows, wanted = training_windows(events, is_new, history)
    assert sorted(windows[wanted]) == np.flatnonzero(is_new & events.positive).tolist()
    for window, target in zip(windows, wanted, strict=True):
        real = window[window >= 0]
        assert (np.diff(real) == 1).all()
        assert len(set(events.user[real])) == 1
        for place in np.flatnonzero(target):
            past = np.flatnonzero(events.user[: window[place]] == events.user[window[place]])
            context = window[:place][window[:place] >= 0]
            assert len(context) >= min(len(past), history // 2)


def test_merging_keeps_each_users_order():
    early = Events(np.array([1, 1, 4]), np.array([10, 11, 12]), np.zeros(3, np.float32), np.ones(3, bool))
    late = Events(np.array([0, 1]), np.array([20, 21]), np.zeros(2, np.float32), np.zeros(2, bool))
    merged, is_new = early.followed_by(late)
    assert merged.user.tolist() == [0, 1, 1, 1, 4]
    assert merged.item.tolist() == [20, 10, 11, 21, 12]
    assert is_new.tolist() == [True, False, False, True, False]
    assert merged.last(2).item.tolist() == [20, 11, 21, 12]
    assert merged.windows(np.array([1, 0]), np.array([4, 0]), 4).tolist() == [[-1, 1, 2, 3], [-1, -1, -1, -1]]


def test_save_and_load(tmp_path):
    events = Events.of(random_log(np.random.default_rng(0), 30, 0))
    events.save(tmp_path / "events")
    assert all((getattr(Events.load(tmp_path / "events"), c) == getattr(events, c)).all() for c in ("user", "item"))
