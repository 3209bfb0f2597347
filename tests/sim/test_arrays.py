"""Sums that do not depend on how many threads there are."""

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.certify.behaviour import slope
from experiments.inference.covariates import adjust
from experiments.inference.users import UserSums
from experiments.measures.variety import gini
from experiments.off_policy.reward_model import cross_fitted
from sim.arrays import dot

ROWS = 60_000  # BLAS divides more than 10,000 among its threads


def test_a_dot_product_is_the_sum_of_products():
    assert dot(np.array([1.0, 2.0]), np.array([3.0, 5.0])) == 13.0
    assert dot(np.empty(0), np.empty(0)) == 0.0


def test_statistics_of_many_rows_are_the_same_with_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, y, ones = rng.normal(size=ROWS), rng.normal(size=ROWS), np.ones(ROWS)
    features, user = rng.normal(size=(ROWS, 30)), np.arange(ROWS)

    def statistics():
        sums = [UserSums(values, ones) for values in (x, x[::-1], y, y[::-1])]
        adjusted = adjust(sums[0], sums[1], (sums[2], sums[3]))
        q = cross_fitted(user, x, features, [features])[0]
        return slope(x, y), gini(np.abs(x)), adjusted.theta, q.logged.tobytes()

    def with_threads(number):
        with threadpool_limits(number):
            return statistics()

    assert with_threads(1) == with_threads(2) == with_threads(3)
