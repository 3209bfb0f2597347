import numpy as np
import pytest

from agents.popular import PopularAgent
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, loyal, make_log, planted


def test_old_positives_count_less():
    world = planted(loyal(), days=8)
    # On day 8 with a half-life of 2: item 100 has 4 * 2^-3 = 0.5, item 101 one of yesterday, 2^-0.5.
    item = np.array([100, 100, 100, 100, 101, 102])
    log = make_log(
        np.arange(6), item, item % 8, np.array([2, 2, 2, 2, 7, 7]), positive=np.array([1, 1, 1, 1, 1, 0], bool)
    )
    agent = PopularAgent(half_life_days=2, exploration=0)
    agent.fit(world.platform, log, STREAM)
    asked = world.requests(2)
    untouched = ~np.isin(asked.exclude, [100, 101]).any(axis=1)
    assert (agent.recommend(asked, STREAM).items[untouched] == [101, 100]).all()
    today = agent._popularity.on(agent.platform.day, agent.platform.catalog.num_items)
    assert today[[100, 101, 102]] == pytest.approx([0.5, 2**-0.5, 0])


def test_exploration_at_temperature_one_is_proportional_to_popularity():
    world = planted(loyal())
    item = np.repeat([100, 101], [1, 3])
    agent = PopularAgent(exploration=1)
    agent.fit(world.platform, make_log(np.arange(4), item, item % 8, np.full(4, 6)), STREAM)
    slates = agent.recommend(world.requests(1), STREAM)
    head = np.where(slates.items == 101, 4, np.where(slates.items == 100, 2, 1))  # 1 + count
    num_pool = 100
    exclusion_free = ~np.isin(world.requests().exclude, [100, 101]).any(axis=1)
    assert slates.propensity[exclusion_free] == pytest.approx((head / (num_pool - 2 + 4 + 2))[exclusion_free])


def test_half_life_must_be_positive():
    with pytest.raises(InvalidInput, match="half_life_days"):
        PopularAgent(half_life_days=0)
