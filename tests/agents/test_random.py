import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from agents.random import uniform_slate
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, request


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), num_slots=st.integers(1, 5))
def test_slates_are_distinct_alive_and_not_excluded(seed, num_slots):
    rng = np.random.default_rng(seed)
    live = np.sort(rng.permutation(30)[: rng.integers(13, 31)])
    exclude = rng.integers(-1, 35, (6, rng.integers(0, 9)))
    nothing = np.full((6, 2), -1)
    slates = uniform_slate(live, request(nothing, nothing, exclude, num_slots), STREAM.at(seed))
    for row in range(6):
        allowed = set(live) - set(exclude[row])
        assert len(set(slates.items[row])) == num_slots
        assert set(slates.items[row]) <= allowed
        assert slates.propensity[row] == pytest.approx([1 / (len(allowed) - s) for s in range(num_slots)])


def test_every_slate_is_equally_likely():
    num = 40_000
    nothing = np.full((num, 1), -1)
    exclude = np.tile([4, 4, 1, 9], (num, 1))  # one repeated, one dead
    slates = uniform_slate(np.arange(7), request(nothing, nothing, exclude, 2), STREAM.at("uniform"))
    _, counts = np.unique(slates.items[:, 0] * 7 + slates.items[:, 1], return_counts=True)
    assert len(counts) == 5 * 4
    assert chisquare(counts).pvalue > 1e-3


def test_too_few_items_are_refused():
    nothing = np.full((1, 1), -1)
    with pytest.raises(InvalidInput, match="user 0 needs 3 items"):
        uniform_slate(np.arange(4), request(nothing, nothing, [[0, 1]], 3), STREAM)
