"""Adjusted p-values: worked by hand, statsmodels', and what they promise."""

import gc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests  # here, for under hypothesis an import takes a minute

from experiments.inference.multiplicity import benjamini_hochberg, holm
from sim.errors import InvalidInput
from sim.random import RandomStream


@pytest.fixture(scope="module", autouse=True)
def nothing_to_collect():
    """``multipletests`` collects garbage at every call, a tenth of a second where much was imported since."""
    gc.freeze()


families = st.lists(st.none() | st.floats(0, 1), max_size=12)


def test_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, None, 0.2]) == [0.5, None, 0.4]
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([]) == benjamini_hochberg([]) == []
    assert holm([None]) == benjamini_hochberg([None]) == [None]
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        holm([0.5, 1.5])


@given(families)
@settings(deadline=None)
def test_they_are_those_of_statsmodels(p):
    known = [value for value in p if value is not None]
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        actual = [value for value in ours(p) if value is not None]
        assert actual == pytest.approx(list(multipletests(known, method=method)[1]) if known else [])


@given(families)
def test_no_adjusted_p_is_smaller_and_order_is_kept(p):
    for adjust in (holm, benjamini_hochberg):
        actual = adjust(p)
        pairs = sorted((before, after) for before, after in zip(p, actual, strict=True) if before is not None)
        assert all(after >= before - 1e-15 for before, after in pairs)
        assert all(one[1] <= two[1] for one, two in pairwise(pairs))
        assert [value is None for value in p] == [value is None for value in actual]


def test_holm_keeps_any_false_positive_below_five_percent():
    rng, trials = RandomStream(0, "holm").generator(), 4000
    p = rng.random((trials, 4))
    any_plain = (p < 0.05).any(axis=1).mean()
    any_holm = np.mean([min(holm(row)) < 0.05 for row in p.tolist()])
    assert any_plain > 0.15
    assert any_holm == pytest.approx(1 - (1 - 0.05 / 4) ** 4, abs=0.01)  # independent tests: just below 5 %
