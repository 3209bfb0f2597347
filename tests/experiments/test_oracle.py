import numpy as np
import pytest

from agents.cluster_rankers import RandomWithinClusterRanker
from agents.hierarchical import HierarchicalAgent
from agents.planners import RandomNovelPlanner
from agents.popular import PopularAgent
from agents.wall import Walled
from experiments.live.arms import run_day
from experiments.oracles.oracle import KNOWN_WEIGHT, OraclePlanner, expected_utility
from experiments.oracles.privileged import reveal
from sim.errors import InvalidInput
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE
from sim.hidden.response import interest_strength
from sim.log import AGENT, InteractionLog
from sim.random import RandomStream
from tests.experiments.test_arms import config, make_arm  # noqa: F401 (a fixture)

STREAM = RandomStream(1, "oracle")
NOTHING = InteractionLog.concatenate([])


@pytest.fixture
def arm(config):  # noqa: F811
    agent = HierarchicalAgent(OraclePlanner(), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent, explored=3)
    reveal(agent, arm.world)
    return arm


def test_expected_utility_is_the_response_to_an_average_item(arm):
    world, c = arm.world, arm.world.config.response
    for day in (0, 1, 2):
        run_day([arm], day)
    people = world.population
    some = np.array([3, 50, 149])
    actual = expected_utility(world, some)
    for row, user in enumerate(some):
        for slot in range(people.interest.shape[1]):
            if people.status[user, slot] == FREE:
                assert actual[row, slot] == -np.inf
                continue
            exposures = int(people.exposures[user, slot])
            g = interest_strength(
                float(people.affinity[user, slot]),
                float(exposures),
                bool(people.status[user, slot] == DISCOVERED),
                c.first_impression,
            )
            utility = c.intercept + c.interest_weight * g - c.satiation_weight * people.satiation[user, slot]
            utility += c.trend_weight * world.trend[people.interest[user, slot]]
            utility += c.novelty_weight * people.novelty_appetite[user] * (exposures == 0)
            assert actual[row, slot] == pytest.approx(utility, abs=1e-5)
    assert {DORMANT, DISCOVERED, ACQUIRED} <= set(people.status[some].ravel().tolist())


def test_plans_are_the_clusters_of_largest_value(arm):
    """By the definition, one user, interest and item at a time."""
    world, platform = arm.world, arm.platform
    live = platform.live_items()
    people, cluster = world.population, platform.cluster_of_item[live]
    users = np.array([0, 7, 88])
    plan = arm.agent.planner.propose(arm.records.requests(users, 4), STREAM)
    utility = expected_utility(world, users)
    for row, user in enumerate(users):
        worth = np.zeros(world.config.num_interests)
        for slot, interest in enumerate(people.interest[user]):
            if interest >= 0:
                weight = 1 if people.status[user, slot] == DORMANT else KNOWN_WEIGHT
                worth[interest] = weight / (1 + np.exp(-utility[row, slot]))
        value = [worth[world.truth.interest[live[cluster == c]]].mean() for c in range(platform.clusters.num_clusters)]
        assert np.array(value)[plan[row]] == pytest.approx(np.sort(value)[::-1][:4])
        assert len(set(plan[row].tolist())) == 4


def test_most_of_a_planned_cluster_is_dormant_as_long_as_users_have_enough(arm):
    world, platform = arm.world, arm.platform
    live = platform.live_items()
    users = np.arange(150)
    plan = arm.agent.planner.propose(arm.records.requests(users, 3), STREAM)
    count = np.zeros((platform.clusters.num_clusters, world.config.num_interests))
    np.add.at(count, (platform.cluster_of_item[live], world.truth.interest[live]), 1)
    majority = count.argmax(axis=1)[plan]  # (N, 3)
    people = world.population
    dormant = (people.interest[:, None] == majority[:, :, None]) & (people.status[:, None] == DORMANT)
    enough = (people.status == DORMANT).sum(axis=1) >= 3
    assert enough.sum() > 50
    assert dormant.any(axis=2)[enough].mean() > 0.95


def test_the_oracle_discovers_several_times_as_much_as_chance(config):  # noqa: F811
    actual = {}
    for name, planner in (("oracle", OraclePlanner()), ("chance", RandomNovelPlanner())):
        agent = HierarchicalAgent(planner, RandomWithinClusterRanker())
        # The same name gives both arms the same luck.
        arm = make_arm(config, agent=agent, production=PopularAgent(), explored=3)
        reveal(agent, arm.world)
        days = [run_day([arm], day) for day in range(6)]
        actual[name] = sum(int(day.discovered[day.log.source == AGENT].sum()) for day in days) / config.num_users
    assert actual["oracle"] > 3 * actual["chance"]
    assert actual["oracle"] > 1


def test_with_the_planners_restriction_it_plans_novel_clusters_only(config):  # noqa: F811
    """What the free oracle would take, without what the user has consumed from; else novel clusters at random."""
    agent = HierarchicalAgent(OraclePlanner(novel_only=True), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent, explored=3)
    reveal(agent, arm.world)
    for day in range(3):
        run_day([arm], day)
    users = np.arange(150)
    requests, planner = arm.records.requests(users, 3), agent.planner
    consumed, value = arm.platform.consumed_clusters(users), planner._value(users)
    plan = planner.propose(requests, STREAM)
    assert not np.take_along_axis(consumed, plan, axis=1)[(~consumed).sum(axis=1) >= 3].any()
    assert all(len(set(row)) == 3 for row in plan.tolist())
    allowed = np.where(consumed, 0, value)
    best = np.sort(allowed, axis=1)[:, ::-1][:, :3]
    assert np.where(best > 0, np.take_along_axis(allowed, plan, axis=1), 0) == pytest.approx(best)
    alone = planner.propose(arm.records.requests(np.array([9, 77]), 3), STREAM)
    assert (alone == plan[[9, 77]]).all()
    free = OraclePlanner()
    reveal(HierarchicalAgent(free, RandomWithinClusterRanker()), arm.world)
    free.fit(arm.platform, NOTHING, STREAM)
    assert np.take_along_axis(consumed, free.propose(requests, STREAM), axis=1).any()
    planner._value = lambda user: np.zeros((len(user), arm.platform.clusters.num_clusters))
    chance = planner.propose(requests, STREAM)
    assert len(np.unique(chance)) > 12  # no cluster's number counts where none has any value


def test_knowledge_discovers_more_than_chance_with_the_same_restriction(config):  # noqa: F811
    actual = {}
    for name, planner in (("oracle", OraclePlanner(novel_only=True)), ("chance", RandomNovelPlanner())):
        agent = HierarchicalAgent(planner, RandomWithinClusterRanker())
        arm = make_arm(config, agent=agent, production=PopularAgent(), explored=3)
        reveal(agent, arm.world)
        days = [run_day([arm], day) for day in range(6)]
        actual[name] = sum(int(day.discovered[day.log.source == AGENT].sum()) for day in days) / config.num_users
    assert actual["oracle"] > 1.2 * actual["chance"], actual


def test_nothing_is_read_unless_it_was_revealed(config, tmp_path):  # noqa: F811
    agent = HierarchicalAgent(OraclePlanner(), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent)
    requests = arm.records.requests(np.arange(5), 2)
    with pytest.raises(InvalidInput, match=r"reveal\(world\)"):
        agent.recommend(requests, STREAM)
    reveal(None, arm.world)
    reveal(Walled(HierarchicalAgent(RandomNovelPlanner(), RandomWithinClusterRanker()), "other"), arm.world)
    reveal(Walled(agent, "oracle"), arm.world)  # the wall does not hide it from the experiment
    plan = agent.recommend(requests, STREAM).cluster
    agent.save(tmp_path)
    loaded = HierarchicalAgent(OraclePlanner(), RandomWithinClusterRanker())
    loaded.load(tmp_path, arm.platform)
    with pytest.raises(InvalidInput, match="oracle"):
        loaded.recommend(requests, STREAM)
    reveal(loaded, arm.world)
    assert (loaded.recommend(requests, STREAM).cluster == plan).all()
    with pytest.raises(InvalidInput, match="at most the 24 clusters"):
        agent.planner.propose(arm.records.requests(np.arange(5), 25), STREAM)


def test_users_are_planned_for_one_by_one_as_in_a_crowd(arm, monkeypatch):
    crowd = arm.agent.planner.propose(arm.records.requests(np.arange(150), 3), STREAM)
    alone = arm.agent.planner.propose(arm.records.requests(np.array([9, 77]), 3), STREAM)
    assert (alone == crowd[[9, 77]]).all()
    monkeypatch.setattr("experiments.oracles.oracle._CHUNK", 16)
    assert (arm.agent.planner.propose(arm.records.requests(np.arange(150), 3), STREAM) == crowd).all()


def test_plans_follow_the_world(arm):
    """Once all but one dormant interest are discovered, the plan is that one."""
    people, planner, users = arm.world.population, arm.agent.planner, np.arange(150)
    dormant = people.status == DORMANT
    last = dormant.shape[1] - 1 - dormant[:, ::-1].argmax(axis=1)  # any will do
    people.status[dormant] = DISCOVERED
    assert planner._value(users).max() <= KNOWN_WEIGHT
    some = np.flatnonzero(dormant.any(axis=1))
    people.status[some, last[some]] = DORMANT
    plan = planner.propose(arm.records.requests(some, 1), STREAM)[:, 0]
    share = planner._share()[people.interest[some, last[some]]]  # (some, M)
    assert (share[np.arange(len(some)), plan] == share.max(axis=1)).all()  # may be several clusters
