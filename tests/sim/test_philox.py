import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from sim.hidden.normal import normal_quantile
from sim.hidden.philox import fill_uniforms
from sim.random import RandomStream


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 10**9), min_size=1, max_size=5), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_compiled_draws_are_those_of_the_stream(seed, rows, num_slots):
    stream, rows = RandomStream(seed, "somewhere"), np.array(rows)
    draws = np.empty((len(rows), num_slots, 5))
    fill_uniforms(stream.key, rows, 0, len(rows), draws)
    for i, row in enumerate(rows):
        expected = stream.uniform(np.array([row]), num_slots * 4).reshape(num_slots, 4)
        np.testing.assert_array_equal(draws[i, :, :3], expected[:, :3])
        # The fourth word is split: its upper half decides the fourth draw to 32 bits.
        np.testing.assert_allclose(draws[i, :, 3], expected[:, 3], atol=2.0**-32)


def test_the_halves_of_a_word_are_uniform_and_unrelated():
    draws = np.empty((20_000, 1, 5))
    fill_uniforms(RandomStream(1, "halves").key, np.arange(20_000), 0, 20_000, draws)
    error = 4 / 20_000**0.5
    assert np.abs(draws[:, 0].mean(axis=0) - 0.5).max() < error
    off_diagonal = np.corrcoef(draws[:, 0].T)[~np.eye(5, dtype=bool)]
    assert np.abs(off_diagonal).max() < error
    assert draws.min() > 0
    assert draws.max() < 1


def test_a_part_of_the_rows_is_what_it_is_in_the_whole():
    rows, key = np.array([7, 3, 900]), RandomStream(2, "part").key
    whole, part = np.empty((3, 4, 5)), np.empty((2, 4, 5))
    fill_uniforms(key, rows, 0, 3, whole)
    fill_uniforms(key, rows, 1, 3, part)
    np.testing.assert_array_equal(part, whole[1:])


def test_normal_quantiles_are_scipys():
    p = np.concatenate([10.0 ** np.linspace(-16, -0.01, 400), 1 - 10.0 ** np.linspace(-12, -0.3, 200)])
    np.testing.assert_allclose([normal_quantile(x) for x in p], ndtri(p), rtol=1e-13, atol=1e-14)
