from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Events
from agents.objectives import CrossEntropy, TopKReinforce
from agents.sequence_windows import Targets, Windows
from sim.errors import InvalidInput
from sim.log import AGENT, OWN, PRIOR, PRODUCTION
from tests.agents.planted import make_log
from tests.agents.test_events import random_log


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), history=st.integers(2, 9))
def test_each_target_is_in_one_window_with_its_true_past(seed, history):
    rng = np.random.default_rng(seed)
    old, new = random_log(rng, rng.integers(0, 60), 0), random_log(rng, rng.integers(0, 60), 1)
    events, is_new = Events.of(old).followed_by(Events.of(new))
    end = events.pasts(new, is_new)
    targets = Targets.of(new, end, new.positive.astype(np.float32), CrossEntropy())
    assert sorted(targets.item) == sorted(new.item[new.positive])
    windows = Windows.of(events, targets, history)
    number, which, place = windows.targets(rng.permutation(len(windows)))
    assert sorted(number) == list(range(len(targets.item)))
    order = rng.permutation(len(windows))
    number, which, place = windows.targets(order)
    for target, window, past in zip(number, windows.rows[order][which], place, strict=True):
        first = np.searchsorted(events.user, targets.user[target])
        all_before = np.arange(first, targets.end[target])
        seen = window[:past][window[:past] >= 0]
        assert len(seen) >= min(len(all_before), history // 2)
        assert seen.tolist() == all_before[len(all_before) - len(seen) :].tolist()


def log_of(propensity):
    num = len(propensity)
    return make_log(np.zeros(num), np.arange(num), np.zeros(num), np.zeros(num), propensity=propensity)


def test_what_no_recommender_showed_teaches_nothing_by_logged_propensities():
    log = replace(log_of([0.5, np.nan, np.nan, 0.25]), source=np.array([PRODUCTION, OWN, PRIOR, AGENT], np.int8))
    reward = np.ones(4, np.float32)
    targets = Targets.of(log, np.arange(4), reward, TopKReinforce())
    assert targets.item.tolist() == [0, 3]
    assert targets.end.tolist() == [0, 3]
    assert len(Targets.of(log, np.arange(4), reward, TopKReinforce(behaviour="estimated")).item) == 4


def test_an_unknown_propensity_is_refused_where_it_is_needed():
    log = log_of([0.5, np.nan])
    both, first = np.ones(2, np.float32), np.array([1, 0], np.float32)
    with pytest.raises(InvalidInput, match="behaviour=estimated"):
        Targets.of(log, np.zeros(2, int), both, TopKReinforce())
    known = Targets.of(log, np.zeros(2, int), first, TopKReinforce())  # the other earned nothing
    assert known.log_propensity == pytest.approx([np.log(0.5)])
    assert len(Targets.of(log, np.zeros(2, int), both, TopKReinforce(behaviour="estimated")).item) == 2
    assert len(Targets.of(log, np.zeros(2, int), first, TopKReinforce(behaviour="estimated")).item) == 2
    assert len(Targets.of(log, np.zeros(2, int), both, CrossEntropy()).item) == 2
