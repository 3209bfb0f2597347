from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.curation import curate, split_by_pair, split_by_time
from agents.transitions import Transitions
from sim.errors import InvalidInput
from sim.random import RandomStream

RNG = RandomStream(1, "curation")


def transitions_of(rows):
    rows = np.array(rows).reshape(-1, 3)
    zeros = np.zeros(len(rows), int)
    return Transitions(rows[:, 0], rows[:, 1], rows[:, 2], zeros, zeros)


ROWS = [(1, 2, 0)] * 3 + [(2, 1, 0)] * 2 + [(3, 2, 0)] * 4 + [(4, 3, 0), (1, 3, 0), (0, 1, 4)]


def test_the_most_frequent_pairs_of_each_label():
    chosen = curate(transitions_of(ROWS), 6, 3, "diversified", RNG)
    samples = list(zip(chosen.first.tolist(), chosen.second.tolist(), chosen.label.tolist(), strict=True))
    # (1, 2) came five times in both orders, (2, 3) four times; (1, 3) and (3, 4) once each: either one
    third = samples.pop(2)
    assert third in [(1, 3, 0), (3, 4, 0)]
    assert samples == [(1, 2, 0), (2, 3, 0), (0, 1, 4), (0, 1, 4), (0, 1, 4)]
    assert chosen.short_labels == 1
    assert chosen.missing_labels == 4
    assert chosen.repeated_samples == 2
    assert chosen.pairs_of_label.tolist() == [3, 0, 0, 0, 1, 0]


def test_short_labels_repeat_their_most_frequent_pairs():
    rows = [(1, 2, 0)] + [(2, 3, 0)] * 2 + [(1, 3, 0)] * 3 + [(4, 5, 1)]
    chosen = curate(transitions_of(rows), 6, 5, "diversified", RNG)
    samples = list(zip(chosen.first.tolist(), chosen.second.tolist(), chosen.label.tolist(), strict=True))
    assert samples == [(1, 3, 0), (2, 3, 0), (1, 2, 0), (1, 3, 0), (2, 3, 0)] + [(4, 5, 1)] * 5
    assert (chosen.short_labels, chosen.repeated_samples) == (2, 2 + 4)


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 10**6))
def test_every_label_in_the_log_gets_as_many_samples(num, wanted, seed):
    rows = np.random.default_rng(seed).integers(0, 7, (num, 3))
    log = transitions_of(rows)
    chosen = curate(log, 7, wanted, "diversified", RNG)
    expected = np.where(np.isin(np.arange(7), rows[:, 2]), wanted, 0)
    assert (np.bincount(chosen.label, minlength=7) == expected).all()
    assert (chosen.pairs_of_label <= np.minimum(wanted, np.bincount(rows[:, 2], minlength=7))).all()
    assert chosen.holds(log.where(np.isin(log.label, chosen.label))) >= min(wanted, 1) * len(np.unique(rows[:, 2]))
    seen = {(min(a, b), max(a, b), c) for a, b, c in rows.tolist()}
    assert set(zip(chosen.first.tolist(), chosen.second.tolist(), chosen.label.tolist(), strict=True)) <= seen


def test_most_frequent_against_a_plain_count():
    rows = np.random.default_rng(3).integers(0, 5, (400, 3))
    chosen = curate(transitions_of(rows), 5, 4, "diversified", RNG)
    for label in range(5):
        count = Counter((min(a, b), max(a, b)) for a, b, c in rows.tolist() if c == label)
        mine = chosen.label == label
        pairs = list(zip(chosen.first[mine].tolist(), chosen.second[mine].tolist(), strict=True))
        assert len(set(pairs)) == 4
        assert [count[pair] for pair in pairs] == sorted(count.values(), reverse=True)[:4]


@pytest.mark.parametrize("number", [range(7), [6, 3, 0, 5, 1, 4, 2]])
def test_equally_frequent_pairs_are_equally_likely_whatever_their_numbers(number):
    """One pair came twice, six once, and three are wanted: each of the six is in a third of the curations."""
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)]
    rows = [(number[a], number[b], number[6]) for a, b in [(0, 3), (3, 0), *pairs]]
    count = Counter()
    seeds = 900
    for seed in range(seeds):
        chosen = curate(transitions_of(rows), 7, 3, "diversified", RandomStream(seed, "curation"))
        count.update(map(frozenset, zip(chosen.first.tolist(), chosen.second.tolist(), strict=True)))
    assert count.pop(frozenset([number[0], number[3]])) == seeds
    assert set(count) == {frozenset([number[a], number[b]]) for a, b in pairs}
    error = np.sqrt(seeds * (1 / 3) * (2 / 3))
    assert max(abs(each - seeds / 3) for each in count.values()) < 4 * error


def test_where_every_triple_came_once_no_cluster_is_favoured():
    num, wanted = 20, 10
    rows = [(a, b, label) for label in range(num) for a in range(num) for b in range(a) if label not in (a, b)]
    chosen = curate(transitions_of(rows), num, wanted, "diversified", RNG)
    times = np.bincount(np.concatenate([chosen.first, chosen.second]), minlength=num)
    mean = 2 * wanted  # of as many places as there are labels
    assert times.sum() == mean * num
    assert abs(times - mean).max() < 4 * np.sqrt(mean)
    again = curate(transitions_of(rows), num, wanted, "diversified", RNG)
    assert np.array_equal(chosen.first, again.first)
    assert np.array_equal(chosen.second, again.second)


def test_the_last_days_are_kept_apart():
    log = Transitions(*np.zeros((4, 5), int), np.array([3, 7, 8, 9, 9]))
    earlier, later = split_by_time(log, 9, 2)
    assert (earlier.day.tolist(), later.day.tolist()) == ([3, 7], [8, 9, 9])
    earlier, later = split_by_time(log, 9, 0)
    assert (len(earlier), len(later)) == (5, 0)
    assert len(split_by_time(log, 9, 100)[0]) == 0


def test_samples_that_come_again_later():
    chosen = curate(transitions_of(ROWS), 6, 3, "diversified", RNG)
    chosen_too = int(((chosen.first == 3) & (chosen.second == 4)).sum())  # or (1, 3) is the third pair of label 0
    assert chosen.holds(transitions_of([(2, 1, 0), (1, 2, 0), (3, 4, 0), (1, 2, 4)])) == 2 + chosen_too
    assert chosen.holds(transitions_of([])) == 0


def test_as_many_at_random():
    many = transitions_of([(1, 2, 0)] * 90 + ROWS)
    chosen = curate(many, 6, 3, "random", RNG)
    assert len(chosen) == len(curate(many, 6, 3, "diversified", RNG)) == 6
    assert set(chosen.label.tolist()) == {0}  # as nearly all of the log's
    again = curate(many, 6, 3, "random", RNG)
    assert (chosen.label == again.label).all()
    assert (chosen.first == again.first).all()
    with pytest.raises(InvalidInput, match="diversified"):
        curate(many, 6, 3, "newest", RNG)


def test_held_out_pairs_are_never_trained_on(transitions):
    kept, held_out = split_by_pair(transitions, 0.3, RNG)
    assert len(kept) + len(held_out) == len(transitions)
    assert len(held_out) > 0

    def pairs(t):
        return {frozenset(p) for p in zip(t.first.tolist(), t.second.tolist(), strict=True)}

    assert not pairs(kept) & pairs(held_out)


def test_nothing_in_nothing_out():
    empty = transitions_of([])
    assert len(curate(empty, 6, 3, "diversified", RNG)) == 0
    kept, held_out = split_by_pair(empty, 0.3, RNG)
    assert len(kept) == len(held_out) == 0
