from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Events
from agents.novelty import NoveltyBoost, RecentPositives, history_bits
from agents.objectives import CrossEntropy
from agents.sequence import SequenceAgent
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, loyal, make_log, planted, request

CLUSTER_OF_ITEM = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])


def log_of(rows):
    """From (user, item, day, positive)."""
    user, item, day, positive = (np.array(column) for column in zip(*rows, strict=True))
    return make_log(user, item, CLUSTER_OF_ITEM[item], day, positive.astype(bool))


def test_surprising_is_what_no_recent_positive_shares_the_cluster_with():
    log = log_of(
        [
            (0, 0, 0, 0),  # surprising, but no positive
            (0, 1, 0, 1),  # still so: nothing has pleased yet
            (0, 2, 0, 1),  # the cluster has pleased today
            (1, 0, 0, 1),  # ... another user
            (0, 3, 1, 1),  # another cluster
            (0, 0, 2, 1),  # two days later: within three days
            (0, 4, 4, 1),  # three days later: forgotten
            (0, 2, 4, 1),
        ]
    )
    recent = RecentPositives(window_days=3)
    expected = [True, True, False, True, True, False, True, False]
    assert recent.surprising(log, CLUSTER_OF_ITEM).tolist() == expected


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 4), cut=st.integers(0, 6))
def test_day_by_day_is_as_all_at_once_and_as_a_loop(seed, window, cut):
    rng = np.random.default_rng(seed)
    num = 60
    rows = (rng.integers(0, 3, num), rng.integers(0, 9, num), np.sort(rng.integers(0, 6, num)), rng.random(num) < 0.3)
    log = log_of(list(zip(*rows, strict=True)))
    whole = RecentPositives(window).surprising(log, CLUSTER_OF_ITEM)
    for row in range(num):
        earlier = (np.arange(num) < row) & log.positive & (log.user == log.user[row])
        earlier &= (log.cluster == log.cluster[row]) & (log.day > log.day[row] - window)
        assert whole[row] == (not earlier.any())
    recent, parts = RecentPositives(window), []
    for part in (log.where(log.day < cut), log.where(log.day >= cut)):
        parts.append(recent.surprising(part, CLUSTER_OF_ITEM))
        recent.remember(part)
    assert (np.concatenate(parts) == whole).all()


def test_refiled_items_are_looked_up_anew():
    recent = RecentPositives(7)
    recent.remember(log_of([(0, 0, 0, 1)]))
    later = log_of([(0, 3, 1, 1)])
    assert recent.surprising(later, CLUSTER_OF_ITEM).tolist() == [True]
    assert recent.surprising(later, np.zeros(9, int)).tolist() == [False]  # now one cluster


def test_memory_survives_the_disk(tmp_path):
    recent, again = RecentPositives(7), RecentPositives(7)
    recent.remember(log_of([(0, 0, 0, 1), (1, 3, 0, 1)]))
    recent.save(tmp_path / "recent")
    again.load(tmp_path / "recent")
    later = log_of([(0, 1, 1, 1), (1, 1, 1, 1)])
    assert again.surprising(later, CLUSTER_OF_ITEM).tolist() == [False, True]


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 12))
def test_serving_sees_the_bits_that_training_will(seed, length):
    """Yesterday's rows are learned, today's only in the request; training on both gives the same bits."""
    rng = np.random.default_rng(seed)
    items, days = rng.permutation(9)[: rng.integers(1, 9)], 2
    day = np.sort(rng.integers(0, days, len(items)))
    log = log_of([(0, item, d, rng.random() < 0.6) for item, d in zip(items, day, strict=True)])
    past = log.where(log.day == 0)
    recent = RecentPositives(7)
    bits = recent.surprising(past, CLUSTER_OF_ITEM) & past.positive
    recent.remember(past)
    events = Events.of(past, bits).last(length)
    history = np.concatenate([np.full(12, -1), items])[-12:]
    positive = np.concatenate([np.zeros(12, bool), log.positive])[-12:]
    requests = request([history], [CLUSTER_OF_ITEM[history]], positive=positive[None], day=1)
    actual = history_bits(requests, length, events, recent, CLUSTER_OF_ITEM)
    trained = RecentPositives(7).surprising(log, CLUSTER_OF_ITEM) & log.positive
    assert actual[0].tolist() == np.concatenate([np.zeros(12, bool), trained])[-12:][-length:].tolist()


@pytest.fixture(scope="module")
def world():
    return planted(loyal(strength=0.8), num_users=120)


def odds_of_surprise(agent, world):
    """exp of the mean log-odds of the policy, at the log's end, for a cluster that has not pleased in two days."""
    requests = world.requests()
    with torch.no_grad():
        policy = agent.live_scores(agent.encode(requests)).softmax(dim=1).numpy()
    cluster = world.platform.cluster_of_item[world.platform.live_items()]
    recent = RecentPositives(2)
    recent.remember(world.log)
    surprising = recent.surprising_now(
        requests.user, np.tile(cluster, (len(policy), 1)), world.platform.day, world.platform.cluster_of_item
    )
    mass = (policy * surprising).sum(axis=1)
    some = surprising.any(axis=1)
    return np.exp(np.log(mass[some] / (1 - mass[some])).mean())


@pytest.mark.slow
def test_the_boost_multiplies_the_odds_of_surprise(world):
    """Weighted cross-entropy learns w * p, normalised: with c = 4 the odds of surprise are four times as high."""
    options = {"epochs": 4, "objective": CrossEntropy(logq_correction=1), "history": 20}
    plain, boosted = SequenceAgent(**options), SequenceAgent(**options, novelty=NoveltyBoost(4, window_days=2))
    for agent in (plain, boosted):
        agent.fit(world.platform, world.log, STREAM)
    assert 2.5 < odds_of_surprise(boosted, world) / odds_of_surprise(plain, world) < 6


def test_a_factor_of_one_boosts_nothing(world):
    plain, boosted = SequenceAgent(epochs=1), SequenceAgent(epochs=1, novelty=NoveltyBoost(1))
    for agent in (plain, boosted):
        agent.fit(world.platform, world.log, STREAM)
    requests = world.requests()
    assert torch.equal(plain.encode(requests), boosted.encode(requests))


def test_the_history_bit_reaches_the_state(world):
    agent = SequenceAgent(epochs=1, novelty=NoveltyBoost(history_bit=True))
    agent.fit(world.platform, world.log, STREAM)
    requests = world.requests()
    before = agent.encode(requests)
    agent._events = replace(agent._events, surprising=~agent._events.surprising)
    agent._forget()
    assert not torch.allclose(before, agent.encode(requests), atol=1e-3)


def test_stopping_and_going_on_is_as_not_having_stopped(world, tmp_path):
    past, last = world.log.where(world.log.day < 5), world.log.where(world.log.day == 5)
    novelty = NoveltyBoost(history_bit=True)
    straight, resumed = SequenceAgent(epochs=1, novelty=novelty), SequenceAgent(epochs=1, novelty=novelty)
    straight.fit(world.platform, past, STREAM)
    straight.save(tmp_path)
    resumed.load(tmp_path, world.platform)
    for agent in (straight, resumed):
        agent.update(last, STREAM)
    assert torch.equal(straight.encode(world.requests()), resumed.encode(world.requests()))


@pytest.mark.parametrize(("options", "field"), [({"factor": 0}, "factor"), ({"window_days": 0}, "window_days")])
def test_bad_options_are_refused(options, field):
    with pytest.raises(InvalidInput, match=field):
        NoveltyBoost(**options)
