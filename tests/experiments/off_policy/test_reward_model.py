"""The model of rewards: known rates, known features, and no row's user in its own model."""

import numpy as np
import pytest

from experiments.off_policy.reward_model import (
    CLUSTER_PRIOR,
    ITEM_PRIOR,
    NUM_PLAIN,
    RIDGE,
    PastRates,
    cross_fitted,
    features,
)
from tests.agents.planted import planted, request, successor
from tests.experiments.synthetic import log_of


def test_rates_are_drawn_to_the_clusters_and_these_to_everybodys():
    item = np.array([0] * 30 + [1] * 10)
    log = log_of(user=item, item=item, cluster=item, positive=item == 0, watch_seconds=60.0 * (item == 1))
    rates = PastRates.of(log, np.array([0, 1, 1]), 2)
    assert rates.cluster_positive == pytest.approx(
        [(30 + CLUSTER_PRIOR * 0.75) / (30 + CLUSTER_PRIOR), CLUSTER_PRIOR * 0.75 / (10 + CLUSTER_PRIOR)]
    )
    assert rates.item_positive[0] == pytest.approx((30 + ITEM_PRIOR * rates.cluster_positive[0]) / (30 + ITEM_PRIOR))
    assert rates.item_positive[2] == pytest.approx(rates.cluster_positive[1])  # never shown
    assert rates.item_watch[1] > rates.item_watch[2] > rates.item_watch[0]
    assert rates.item_shown == pytest.approx(np.log1p([30, 10, 0]))


def test_features_are_as_documented():
    world = planted(successor())
    rates = PastRates.of(world.log, world.platform.cluster_of_item, 8)
    asked = request([[-1, 8, 16, 1]], [[-1, 0, 0, 1]], positive=np.array([[False, True, False, True]]))
    actual = features(world.platform, rates, asked, np.array([[24, 3]]))[0]
    assert actual.shape == (2, 2 + NUM_PLAIN)
    assert actual[:, :2].tolist() == [[1, 0], [0, 1]]
    known = world.platform.consumed_clusters(np.array([0]))[0]
    assert actual[:, 2].tolist() == [known[0], known[3]]
    assert actual[:, 3] == pytest.approx(np.log1p([2, 0]))
    mean = (2 + 1) / (3 + 2)
    assert actual[:, 4] == pytest.approx([(1 + 2 * mean) / 4 - mean, 0], abs=1e-6)
    assert actual[:, 10] == pytest.approx([mean, mean])
    assert actual[:, 11] == pytest.approx([0, 0])  # every planted item is 30 s long


def test_a_linear_reward_and_its_policys_mean_are_recovered():
    rng = np.random.default_rng(0)
    x, shown, beta = rng.normal(size=(4000, 5)), rng.normal(size=(4000, 5)), np.array([1.0, -2, 0, 0.5, 3])
    (actual,) = cross_fitted(np.arange(4000), x @ beta, x, [shown])
    assert actual.logged == pytest.approx(x @ beta, abs=0.05)
    assert actual.policy == pytest.approx(shown @ beta, abs=0.05)


def test_no_row_is_predicted_from_its_own_user():
    """Even users earn 1, odd ones 0: each is predicted from what the others earn."""
    user = np.arange(100)
    (actual,) = cross_fitted(user, (user % 2 == 0).astype(float), np.ones((100, 1)), [np.ones((100, 1))])
    assert actual.logged[user % 2 == 0] == pytest.approx(np.zeros(50))
    assert actual.policy[user % 2 == 1] == pytest.approx(np.full(50, 50 / (50 + RIDGE)))
