import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.random import RandomStream

rows_of_users = st.lists(st.integers(0, 500), min_size=1, max_size=30)
paths = st.lists(st.one_of(st.integers(0, 99), st.text(max_size=5)), max_size=3)


@given(st.integers(0, 2**40), paths, rows_of_users, st.integers(1, 13))
@settings(deadline=None)
def test_a_row_belongs_to_its_user_alone(seed, path, users, num):
    stream = RandomStream(seed, *path)
    users = np.array(users)
    together = stream.uniform(users, num)
    assert together.shape == (len(users), num)
    for user, row in zip(users, together, strict=True):
        np.testing.assert_array_equal(stream.uniform(np.array([user]), num)[0], row)


@given(st.integers(0, 2**40), paths, st.integers(1, 13))
@settings(deadline=None)
def test_draws_are_strictly_between_0_and_1(seed, path, num):
    draws = RandomStream(seed, *path).uniform(np.arange(50), num)
    assert draws.min() > 0
    assert draws.max() < 1


def test_uniforms_are_uniform_in_every_column_and_uncorrelated():
    draws = RandomStream(3, "moments").uniform(np.arange(40_000), 6)
    for column in draws.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    correlation = np.corrcoef(draws.T) - np.eye(6)
    assert np.abs(correlation).max() < 0.025  # standard error 0.005
    neighbours = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
    assert abs(neighbours) < 0.025


def test_normals_and_gumbels_have_their_moments():
    stream = RandomStream(3, "moments")
    normal = stream.normal(np.arange(40_000), 2)
    gumbel = stream.gumbel(np.arange(40_000), 2)
    assert stats.kstest(normal[:, 0], "norm").pvalue > 1e-4
    assert stats.kstest(gumbel[:, 1], "gumbel_r").pvalue > 1e-4


def test_places_have_their_own_randomness_and_the_way_to_a_place_does_not_matter():
    users = np.arange(4)
    stream = RandomStream(1, "response", 3)
    np.testing.assert_array_equal(RandomStream(1).at("response").at(3).uniform(users, 4), stream.uniform(users, 4))
    for other in (RandomStream(2, "response", 3), RandomStream(1, "response", 4), RandomStream(1, "return", 3)):
        assert not np.isclose(other.uniform(users, 4), stream.uniform(users, 4)).any()
    assert not np.isclose(RandomStream(1, "3").uniform(users, 4), RandomStream(1, 3).uniform(users, 4)).any()


def test_a_place_is_the_same_whatever_kind_of_integer_names_it():
    users = np.arange(4)
    np.testing.assert_array_equal(RandomStream(1, np.int64(3)).uniform(users, 4), RandomStream(1, 3).uniform(users, 4))


def test_no_users_draw_nothing():
    assert RandomStream(1).uniform(np.arange(0), 5).shape == (0, 5)


def test_generators_and_seeds_are_reproducible():
    one, other = RandomStream(5, "fit"), RandomStream(5, "fit")
    assert one.generator().random() == other.generator().random()
    assert one.integer_seed() == other.integer_seed() != RandomStream(6, "fit").integer_seed()
    assert 0 <= one.integer_seed() < 2**63
