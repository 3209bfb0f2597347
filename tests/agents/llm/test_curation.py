import numpy as np
import pytest

from agents.llm.curation import curate, split_by_pair
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
    # (1, 2) came five times in both orders; (1, 3) and (3, 4) once each: the smaller pair wins
    assert samples == [(1, 2, 0), (2, 3, 0), (1, 3, 0), (0, 1, 4)]
    assert chosen.short_labels == 1
    assert chosen.missing_labels == 4


def test_as_many_at_random():
    many = transitions_of([(1, 2, 0)] * 90 + ROWS)
    chosen = curate(many, 6, 3, "random", RNG)
    assert len(chosen) == len(curate(many, 6, 3, "diversified", RNG)) == 4
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
