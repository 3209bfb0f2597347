"""Propensities against frequencies: the test itself, on draws whose truth is known, and every agent that draws."""

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from scipy.stats import chi2, kstest

from agents.base import Recommendations
from agents.check_propensity import NUM_DRAWS, Draws, compare_propensities, draw
from agents.random import uniform_slate
from agents.sequence import SequenceAgent
from agents.slate import sample_slate
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream
from tests.agents.built_in import built_in_agents
from tests.agents.planted import STREAM, planted, request, successor

USERS = np.arange(12)
SCORES = np.linspace(0, 3, 20)  # of items 0 .. 19


def softmax_slates(requests, rng, temperature=1.0, exploration=1.0, slots=2):
    scores, items = (np.tile(row, (len(requests), 1)) for row in (SCORES, np.arange(20)))
    return sample_slate(scores, items, slots, temperature, exploration, requests.user, rng)


ASKED = request(np.full((12, 1), -1), np.full((12, 1), -1), num_slots=2)


def compared(recommend, num_draws=NUM_DRAWS, stream=STREAM):
    draws = draw(recommend, ASKED, stream, num_draws)
    assert draws.items.shape == (num_draws, 12, 2)
    return compare_propensities(draws)


def two_items(counts_first, counts_second, propensity):
    """One user, one slot, items 0 and 1."""
    items = np.concatenate([np.repeat([0, 1], counts_first), np.repeat([0, 1], counts_second)])
    return Draws(np.zeros(1, int), items[:, None, None], propensity[items][:, None, None], -np.ones((len(items), 1, 1)))


def test_the_statistic_is_pearsons():
    found = compare_propensities(two_items([20, 20], [30, 10], np.array([0.5, 0.5])))
    assert found.cells == 1
    assert found.p_values[0] == pytest.approx(chi2.sf(2 * 10**2 / 20, 1))
    assert found.p_values[1] == 1  # there is no later slot
    assert found.faults == []
    assert compare_propensities(two_items([20, 20], [40, 160], np.array([0.6, 0.4]))).p_values[0] < 1e-9


def test_a_fault_names_what_came_too_often():
    (fault,) = compare_propensities(two_items([90, 110], [190, 10], np.array([0.5, 0.5]))).faults
    assert "first slot: propensities are not the frequencies of what is drawn" in fault
    assert "user 0: item 0 came 190 times in 200 draws, and by its propensity should have come 100 times" in fault


@pytest.mark.parametrize("exploration", [1.0, 0.3, 0.0])
def test_true_propensities_pass(exploration):
    found = compared(lambda requests, rng: softmax_slates(requests, rng, exploration=exploration))
    assert found.faults == []
    assert found.cells > 50 or exploration == 0


@pytest.mark.slow
def test_true_propensities_fail_as_often_as_the_p_value_says():
    streams = [RandomStream(seed, "false alarms") for seed in range(150)]

    def greedier(requests, rng):  # so that later slots, too, have groups to compare
        return softmax_slates(requests, rng, exploration=0.6)

    # 400 draws of each of the 12 users, all in one call: each row's draws are its own, and all have the same scores.
    nothing = np.full((400 * len(USERS), 1), -1)
    everybody = request(nothing, nothing, num_slots=2)

    def p_values(stream):
        drawn = draw(greedier, everybody, stream, 1)
        shaped = (np.reshape(a, (400, len(USERS), 2)) for a in (drawn.items, drawn.propensity, drawn.cluster))
        return compare_propensities(Draws(USERS, *shaped)).p_values

    p = np.array([p_values(stream) for stream in streams])  # (150, 2)
    assert (p.min(axis=0) > 1e-5).all()
    assert kstest(p[:, 0], "uniform").pvalue > 1e-3
    assert kstest(p[:, 1], "uniform").pvalue > 1e-3


def said(other):
    """Slates of the softmax, whose propensities are those that ``other`` would give for the same draws."""

    def recommend(requests, rng):
        slates = softmax_slates(requests, rng)
        return replace(slates, propensity=other(slates.items))

    return recommend


def softmax_of(items, temperature, leave_out=True):
    weight = np.exp(SCORES / temperature)
    left = np.full(len(items), weight.sum())
    out = np.empty(items.shape)
    for slot in range(items.shape[1]):
        out[:, slot] = weight[items[:, slot]] / left
        left = left - weight[items[:, slot]] * leave_out
    return out


def test_the_softmax_by_hand_is_the_softmax():
    slates = softmax_slates(ASKED, STREAM)
    np.testing.assert_allclose(softmax_of(slates.items, 1.0), slates.propensity, rtol=1e-5)


@pytest.mark.parametrize(
    ("other", "where"),
    [
        (lambda items: softmax_of(items, 1.3), ["first", "later"]),  # another temperature
        (lambda items: softmax_of(items, 1.0, leave_out=False), ["later"]),  # forgets what is already placed
        (lambda items: np.full(items.shape, 1 / 20), ["first", "later"]),  # as if uniform
        (lambda items: 0.8 * softmax_of(items, 1.0) + 0.2 / 20, ["first"]),  # a fifth of exploration that isn't there
        (lambda items: np.minimum(1.3 * softmax_of(items, 1.0), 1), ["first", "later"]),  # adds up to 1.3
    ],
)
def test_wrong_propensities_fail_where_they_are_wrong(other, where):
    found = compared(said(other))
    assert [fault.split()[0] for fault in found.faults][: len(where)] == where


def test_a_propensity_that_depends_on_a_hidden_coin_fails():
    def recommend(requests, rng):
        coin = rng.at("coin").uniform(requests.user, 1)[:, 0] < 0.5
        return softmax_slates(requests, rng, temperature=2.0 if coin[0] else 0.5)

    faults = compared(recommend).faults
    assert "first slot: the propensity of item" in faults[0]
    assert "differs from draw to draw" in faults[0]


def test_a_propensity_may_be_given_the_planned_cluster():
    def recommend(requests, rng):
        plan = rng.at("plan").uniform(requests.user, 3).argsort(axis=1)[:, :2]  # two of the clusters 0, 1, 2
        pick = (rng.at("pick").uniform(requests.user, 2) * 4).astype(int)  # one of the cluster's four items
        return Recommendations(plan * 4 + pick, np.full(plan.shape, 0.25), plan)

    assert compared(recommend).faults == []
    unplanned = compared(lambda requests, rng: replace(recommend(requests, rng), cluster=None))
    assert "propensities of 12 distinct items add up to 3 " in unplanned.faults[0]


def test_an_agent_without_propensities_cannot_be_compared():
    assert draw(lambda requests, rng: Recommendations(softmax_slates(requests, rng).items), ASKED, STREAM, 3) is None


def test_draws_over_very_many_items_are_compared_as_what_came_before_and_what_did_not():
    live = np.arange(5000)
    true = compared(lambda requests, rng: uniform_slate(live, requests, rng))
    assert true.faults == []
    assert true.cells >= 12

    def few(requests, rng):  # really from 300 items only
        slates = uniform_slate(live[:300], requests, rng)
        return replace(slates, propensity=np.full(slates.items.shape, 1 / 5000))

    assert len(compared(few).faults) >= 1


# Every built-in agent that draws


@pytest.fixture(scope="module")
def crowd():
    """A planted world in which 20,000 users besides have all lived user 3's life."""
    world = planted(successor(), days=3)
    old, num = world.records, 60 + 20_000
    records = PlatformRecords(num, old.catalog, old.clusters, history_length=50, history_days=30, seen_length=20)
    life = np.concatenate([np.arange(60), np.full(20_000, 3)])
    for name in ("_items", "_watch", "_positive", "_item_day", "_written", "_seen", "_num_seen", "consumed"):
        setattr(records, name, getattr(old, name)[life])
    records.begin_day(old.day, old.catalog)
    return Platform(records), world.log, records.requests(np.arange(60, num), 3)


@pytest.fixture(scope="module")
def production(crowd):
    agent = SequenceAgent(epochs=1)
    agent.fit(crowd[0], crowd[1], STREAM)
    return agent


@pytest.mark.slow
@pytest.mark.parametrize("name", built_in_agents())
def test_a_hundred_thousand_slates_come_as_often_as_they_were_said_to(name, crowd, production):
    platform, log, requests = crowd
    agent = instantiate(built_in_agents()[name])()
    agent.bind(production)
    agent.fit(platform, log, STREAM.at("fit"))
    draws = draw(agent.recommend, requests, STREAM.at(name), 5)
    if draws is None:
        pytest.skip("gives no propensities")
    as_one = (np.reshape(a, (100_000, 1, 3)) for a in (draws.items, draws.propensity, draws.cluster))
    found = compare_propensities(Draws(np.array([3]), *as_one))
    assert found.faults == []
    assert min(found.p_values) > 1e-6
    deterministic = (draws.propensity == 1).all()
    assert found.cells >= 10 or deterministic
