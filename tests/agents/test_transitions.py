from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.transitions import (
    HISTORY_DAYS,
    HISTORY_LENGTH,
    POSITIVE_WEIGHT,
    _draw_past,
    novel_transitions,
    sample_past,
)
from sim.log import DTYPES, InteractionLog
from sim.platform import PlatformRecords, Requests
from sim.random import RandomStream
from tests.agents.planted import make_catalog, make_clusters

RNG = RandomStream(3, "transitions")


def make_log(rows):
    """Rows are (user, day, cluster, consumed, positive), in the order in which they happened."""
    columns = {name: np.zeros(len(rows), dtype) for name, dtype in DTYPES.items()}
    for i, (user, day, cluster, consumed, positive) in enumerate(rows):
        columns["user"][i], columns["day"][i], columns["cluster"][i] = user, day, cluster
        columns["consumed"][i], columns["positive"][i] = consumed, positive
    return InteractionLog(**columns)


def transitions_in(log, **options):
    t = novel_transitions(log, RNG, **options)
    pairs = [tuple(sorted(p)) for p in zip(t.first.tolist(), t.second.tolist(), strict=True)]
    return list(zip(pairs, t.label.tolist(), t.user.tolist(), t.day.tolist(), strict=True))


def test_an_event_needs_two_clusters_of_history_and_a_new_liked_one():
    log = make_log(
        [
            (7, 0, 1, True, True),  # no history yet
            (2, 0, 5, True, False),
            (7, 0, 2, True, True),  # history of one cluster
            (7, 1, 3, True, False),  # new, but not liked
            (7, 1, 1, True, True),  # liked, but not new
            (2, 1, 6, True, False),
            (7, 2, 3, True, True),  # consumed before: no longer new
            (2, 3, 9, False, False),  # shown before without being consumed: stays new
            (2, 4, 9, True, True),  # an event
        ]
    )
    assert transitions_in(log) == [((5, 6), 9, 2, 4)]


def test_history_reaches_back_thirty_days():
    log = make_log([(0, 0, 1, True, True), (0, 1, 2, True, True), (0, 2, 3, True, False), (0, 30, 4, True, True)])
    assert transitions_in(log) == [((2, 3), 4, 0, 30)]  # days 1 to 30
    assert transitions_in(log, history_days=29) == []


@pytest.mark.parametrize("first_day", [-1, -40, -1000])
def test_negative_days_count_like_the_others(first_day):
    """Users may have lived before day 0."""
    draws = np.random.default_rng(0)
    rows = [(draws.integers(12), day, draws.integers(40), True, True) for day in np.sort(draws.integers(60, size=2000))]
    log = make_log(rows)
    expected, moved = transitions_in(log), transitions_in(replace(log, day=log.day + first_day))
    assert len(expected) > 100
    assert moved == [(pair, label, user, day + first_day) for pair, label, user, day in expected]


def test_a_pair_is_sampled_from_no_more_than_a_request_holds():
    rows = [(0, 0, 1, True, True)] * 10 + [(0, 1, 2, True, True)] * 3 + [(0, 1, 3, True, True)] * 2
    rows += [(0, 2, 4, True, True)]
    drawn = {pair for seed in range(30) for pair in [pair_of(rows, seed, 5)]}
    assert drawn == {(2, 3)}
    assert len({pair_of(rows, seed, 6) for seed in range(60)}) > 1


def pair_of(rows, seed, length):
    t = novel_transitions(make_log(rows), RandomStream(seed, "pairs"), history_length=length)
    return tuple(sorted([int(t.first[-1]), int(t.second[-1])]))


def test_what_stands_above_on_the_slate_is_no_history_yet():
    rows = [(0, 0, 1, True, True), (0, 1, 2, True, True), (0, 2, 3, True, True), (0, 2, 4, True, True)]
    assert transitions_in(make_log(rows)) == [((1, 2), 3, 0, 2), ((1, 2), 4, 0, 2)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 6))
def test_training_pairs_are_drawn_from_what_the_request_showed(seed, length, days):
    """The windows are those of a platform that records the same rows, and so the draws give the same pairs."""
    generator = np.random.default_rng(seed)
    rows = [(0, day, int(c), True, bool(p)) for day in range(12) for c, p in generator.integers(0, [9, 2], (2, 2))]
    log, rng = make_log(rows), RandomStream(seed, "pairs")
    t = novel_transitions(log, rng, days, length)
    clusters = make_clusters(9, generator)
    catalog = make_catalog(np.arange(9), clusters.centroid, generator, np.full(9, 100))
    records = PlatformRecords(1, catalog, clusters, length, days, 0)
    records.cluster_of_item = np.arange(9)
    event, expected = 0, []
    for day in range(12):
        records.begin_day(day, records.catalog)
        request = records.requests(np.array([0]), 1)
        known = records.consumed[0].copy()
        for _, _, cluster, _, positive in rows[2 * day : 2 * day + 2]:
            if positive and not known[cluster]:
                pair = _draw_past(request.clusters, request.positive, rng.uniform(np.array([event]), 2))[0].tolist()
                expected += [(*pair, cluster, day)] if pair[0] != pair[1] else []
                event += 1
            known[cluster] = True
        item = np.array([[r[2] for r in rows[2 * day : 2 * day + 2]]])
        yes, liked = np.ones((1, 2), bool), np.array([[r[4] for r in rows[2 * day : 2 * day + 2]]])
        records.record(np.array([0]), item, yes, yes, np.ones((1, 2), np.float32), liked)
    assert list(zip(*(getattr(t, n).tolist() for n in ("first", "second", "label", "day")), strict=True)) == expected


def test_the_defaults_are_those_of_the_world():
    with initialize_config_module("conf", version_base="1.3"):
        memory = compose("compare").world.platform
        counts = compose("compare", ["+agent@agents.its=counts"]).agents.its
    assert (memory.history_length, memory.history_days) == (HISTORY_LENGTH, HISTORY_DAYS)
    assert counts.planner.history_length == memory.history_length


def test_positive_items_are_sampled_more_often():
    rows = []
    for user in range(4000):
        rows += [(user, 0, 1, True, True), (user, 0, 2, True, False), (user, 0, 3, True, False)]
        rows += [(user, 1, 4, True, True)]
    t = novel_transitions(make_log(rows), RNG)
    assert len(t) == 4000
    share = (t.first == 1).mean()
    assert abs(share - POSITIVE_WEIGHT / (POSITIVE_WEIGHT + 2)) < 0.03


def test_empty_logs_have_no_transitions():
    assert len(novel_transitions(make_log([]), RNG)) == 0
    assert len(novel_transitions(make_log([(0, 0, 1, False, False)]), RNG)) == 0


row = st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 5), st.booleans(), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(row, max_size=60))
def test_what_always_holds(rows):
    rows = sorted(((u, d, c, took or liked, liked) for u, d, c, took, liked in rows), key=lambda r: r[1])
    t = novel_transitions(make_log(rows), RNG)
    for first, second, label, user, day in zip(t.first, t.second, t.label, t.user, t.day, strict=True):
        assert label not in (first, second)
        assert first != second
        (event,) = [i for i, r in enumerate(rows) if r[0] == user and r[2] == label and r[4]][:1]
        before = [r for r in rows[:event] if r[0] == user and r[3]]
        assert rows[event][1] == day
        assert label not in {r[2] for r in before}
        assert {first, second} <= {r[2] for r in before if r[1] > day - 30}


def make_requests(clusters, positive=None, users=None, num_slots=3):
    clusters = np.array(clusters, np.int32)
    none = np.full((len(clusters), 1), -1)
    return Requests(
        user=np.arange(len(clusters)) if users is None else np.array(users),
        day=0,
        items=np.where(clusters >= 0, clusters, -1).astype(np.int64),
        clusters=clusters,
        watch=np.zeros(clusters.shape, np.float32),
        positive=np.zeros(clusters.shape, bool) if positive is None else np.array(positive),
        exclude=none,
        num_slots=num_slots,
    )


def test_pairs_of_a_request():
    pairs = sample_past(make_requests([[-1, -1, -1], [-1, 4, 4], [1, 2, 2]]), 20, 2, RNG)
    assert pairs.shape == (3, 20, 2)
    assert (pairs[0] == -1).all()
    assert (pairs[1] == 4).all()
    assert (np.sort(pairs[2], axis=1) == [1, 2]).all()


def test_pairs_do_not_depend_on_the_batch():
    clusters = np.random.default_rng(0).integers(-1, 6, (9, 8))
    everyone = sample_past(make_requests(clusters), 4, 2, RNG)
    some = sample_past(make_requests(clusters[[2, 7]], users=[2, 7]), 4, 2, RNG)
    assert (everyone[[2, 7]] == some).all()


def test_pasts_of_three_are_pairs_that_go_on():
    requests = make_requests([[-1, -1, -1, -1], [-1, -1, 4, 4], [1, 2, 2, 1], [5, 6, 7, 8]])
    past = sample_past(requests, 50, 3, RNG)  # (4, 50, 3)
    assert (past[0] == -1).all()
    assert (past[1] == 4).all()
    assert (np.sort(past[2, :, :2], axis=1) == [1, 2]).all()
    assert (past[2, :, 2] == past[2, :, 1]).all()  # nothing else is there
    assert all(len(set(row)) == 3 for row in past[3].tolist())
    assert len({tuple(row) for row in past[3].tolist()}) > 15  # of 24
    one = sample_past(requests, 400, 1, RNG)
    assert one.shape == (4, 400, 1)
    assert set(one[2].ravel().tolist()) == {1, 2}
