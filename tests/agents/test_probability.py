"""``Agent.probability`` of every kind of agent: that of its own slates, of each item there is, and of what it draws."""

from dataclasses import replace

import numpy as np
import pytest

from agents.base import Agent, Recommendations
from agents.cluster_rankers import RandomWithinClusterRanker, SearchRanker
from agents.hierarchical import HierarchicalAgent
from agents.planners import PopularNovelPlanner, RandomNovelPlanner
from agents.popular import PopularAgent
from agents.random import RandomAgent
from agents.sequence import SequenceAgent
from agents.sequence_ranker import SequenceRanker
from agents.two_tower import TwoTowerAgent
from sim.errors import InvalidInput
from sim.log import InteractionLog
from tests.agents.faults import check_agent
from tests.agents.planted import STREAM, planted, successor

AGENTS = {
    "random": RandomAgent,
    "popular": lambda: PopularAgent(exploration=0.4),
    "sequence": lambda: SequenceAgent(epochs=1, exploration=0.4),
    "two_tower": lambda: TwoTowerAgent(epochs=1, exploration=0.4),
    "sequence ranker": lambda: HierarchicalAgent(PopularNovelPlanner(), SequenceRanker(exploration=0.4)),
    "random within": lambda: HierarchicalAgent(RandomNovelPlanner(), RandomWithinClusterRanker()),
    "search": lambda: HierarchicalAgent(RandomNovelPlanner(), SearchRanker(exploration=0.4)),
}


@pytest.fixture(scope="module")
def world():
    return planted(successor(), per_day=2)


def trained(name, world, log=None):
    agent = AGENTS[name]()
    production = SequenceAgent(epochs=1)
    production.fit(world.platform, world.log, STREAM)
    agent.bind(production)
    agent.fit(world.platform, world.log if log is None else log, STREAM)
    return agent


@pytest.fixture(scope="module", params=AGENTS)
def agent(request, world):
    return trained(request.param, world)


def test_of_its_own_slates_it_is_the_propensity(agent, world):
    requests = world.requests(4)
    for draw in range(5):
        slate = agent.recommend(requests, STREAM.at(draw))
        actual = agent.probability(requests, slate.items, slate.items, STREAM.at(draw))
        assert actual == pytest.approx(slate.propensity, rel=1e-5)


def test_over_all_items_it_adds_up_to_one_below_any_slate(agent, world):
    requests = world.requests(3)
    slate = agent.recommend(requests, STREAM.at("above")).items
    total = np.zeros(slate.shape)
    for item in range(world.platform.catalog.num_items):
        total += agent.probability(requests, np.full(slate.shape, item), slate, STREAM.at("above"))
    assert total == pytest.approx(np.ones(slate.shape), rel=1e-5)


def test_what_stands_above_is_excluded_or_dead_has_no_probability(agent, world):
    requests = world.requests(2)
    slate = agent.recommend(requests, STREAM.at("zero")).items
    shown = np.array(requests.exclude[:, -1:])
    asked = np.concatenate([shown, slate[:, :1]], axis=1)  # shown already; and stands in the slot before
    assert (agent.probability(requests, asked, slate, STREAM.at("zero")) == 0).all()
    dead = np.zeros_like(slate)  # item 0 expired yesterday
    assert (agent.probability(requests, dead, slate, STREAM.at("zero")) == 0).all()


@pytest.mark.parametrize("name", ["sequence", "two_tower", "sequence ranker"])
def test_before_it_has_learned_anything_it_is_that_of_chance(name, world):
    agent = AGENTS[name]()
    agent.fit(world.platform, InteractionLog.concatenate([]), STREAM)
    slate = agent.recommend(world.requests(3), STREAM)
    assert agent.probability(world.requests(3), slate.items, slate.items, STREAM) == pytest.approx(slate.propensity)


def test_averaged_over_plans_it_is_the_frequency_of_what_is_drawn():
    """A planner draws its plan: mean probability of a first item over draws = how often it comes."""
    world = planted(successor(), num_items=80, per_day=2)  # ten items a cluster: each comes often
    agent = trained("random within", world)
    requests = world.requests(1).where(slice(0, 20))
    num = 1000
    draws = [agent.recommend(requests, STREAM.at("drawn", k)).items[:, 0] for k in range(num)]
    item = draws[0][:, None]
    actual = np.mean([agent.probability(requests, item, item, STREAM.at("told", k))[:, 0] for k in range(num)], axis=0)
    active = np.mean([drawn == item[:, 0] for drawn in draws[1:]], axis=0)
    assert (np.abs(active - actual) < 5 * np.sqrt(actual / num)).all()
    assert active.sum() == pytest.approx(actual.sum(), rel=0.15)


class Boastful(RandomAgent):
    """Says twice its probability."""

    def probability(self, requests, items, above, rng):
        return 2 * super().probability(requests, items, above, rng)


def test_an_agent_without_it_gives_none_and_a_wrong_one_is_detected(world):
    class Silent(Agent):
        def recommend(self, requests, rng):
            return Recommendations(np.zeros((len(requests), 1), np.int64))

    slate = np.zeros((60, 1), np.int64)
    assert Silent().probability(world.requests(1), slate, slate, STREAM) is None
    assert check_agent(RandomAgent, world.platform, world.log, STREAM) == []
    (fault,) = check_agent(Boastful, world.platform, world.log, STREAM)
    assert "probability(requests, items, items, rng)" in fault


def test_users_excluded_from_whole_clusters_get_items_from_elsewhere(world):
    """Where the plan's cluster has nothing left the ranker goes elsewhere, and says so."""
    live = world.platform.live_items()
    filed = world.platform.cluster_of_item[live]
    for name in ("sequence ranker", "random within", "search"):
        agent = trained(name, world)
        requests = world.requests(1).where(slice(0, 8))
        plan = agent.planner.propose(requests, STREAM.at("planner"))
        most = max(int((filed == c).sum()) for c in range(8))
        exclude = np.full((8, most), -1)
        for row in range(0, 8, 2):
            own = live[filed == plan[row, 0]]
            exclude[row, : len(own)] = own
        requests = replace(requests, exclude=exclude)
        slate = agent.recommend(requests, STREAM)
        actual = agent.probability(requests, slate.items, slate.items, STREAM)
        assert actual == pytest.approx(slate.propensity, rel=1e-5)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.tolist(), r"='list': must be an array of floats of shape \(60,\), or None"),
        (lambda p: p.astype(str), r"='<U\d+ array of shape \(60,\)': must be an array of floats"),
        (lambda p: p[:, None], r"='float64 array of shape \(60, 1\)': must be an array of floats"),
        (lambda p: {"p": p}, "='dict': must be an array of floats"),
        (lambda p: p * np.nan, r"=nan: must be in \[0, 1\]"),
        (lambda p: p + 1, r"=1\.\d+: must be in \[0, 1\]"),
    ],
)
def test_a_ranker_that_returns_no_probabilities_is_named(spoil, message, world):
    class Own(RandomWithinClusterRanker):
        def probability(self, requests, allowed, item):
            return spoil(super().probability(requests, allowed, item))

    agent = HierarchicalAgent(RandomNovelPlanner(), Own())
    agent.fit(world.platform, world.log, STREAM)
    requests = world.requests(2)
    slate = agent.recommend(requests, STREAM).items
    with pytest.raises(InvalidInput, match=rf"^ranker Own: probability{message}.* \(Own, {__file__}\)$") as error:
        agent.probability(requests, slate, slate, STREAM)
    assert "\n" not in str(error.value)


def test_an_agent_that_returns_a_list_of_probabilities_is_named(world):
    class Lists(RandomAgent):
        def probability(self, requests, items, above, rng):
            return super().probability(requests, items, above, rng).tolist()

    (fault,) = check_agent(Lists, world.platform, world.log, STREAM)
    assert (
        fault == "propensities: agent Lists: probability='list': must be an array of floats of shape (24, 5), or None"
    )
    assert "\n" not in fault
