from itertools import pairwise, product

import numpy as np
import pytest

from agents.cluster_rankers import RandomWithinClusterRanker
from agents.hierarchical import HierarchicalAgent
from agents.planners import RandomNovelPlanner
from agents.wall import Walled
from experiments.live.arms import run_day
from experiments.oracles.persona_oracle import PersonaOraclePlanner, degraded
from experiments.oracles.privileged import reveal
from experiments.oracles.truth import majority_interests
from sim.arrays import repeats
from sim.errors import InvalidInput
from sim.hidden.population import DISCOVERED, DORMANT
from sim.hidden.tree import load_tree
from sim.random import RandomStream
from tests.experiments.test_arms import config, make_arm  # noqa: F401 (a fixture)

STREAM = RandomStream(1, "persona oracle")


@pytest.fixture
def arm(config):  # noqa: F811
    agent = HierarchicalAgent(PersonaOraclePlanner(), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent, explored=3)
    reveal(Walled(agent, "persona_oracle"), arm.world)
    for day in range(3):
        run_day([arm], day)
    return arm


def interests_of(arm):
    live = arm.platform.live_items()
    filed, num = arm.platform.cluster_of_item[live], arm.platform.clusters.num_clusters
    return majority_interests(arm.world.truth.interest[live], filed, num, arm.world.config.num_interests)[0]


def test_the_best_clusters_share_the_most_personas_with_the_pair(arm):
    """By the definition, one persona and cluster at a time."""
    interest, weight = interests_of(arm), arm.world.tree.persona_weight
    typical = arm.world.links.dense(arm.world.config.num_interests)
    pairs = np.array([(0, 1), (5, 5), (8, 3), (-1, -1)])
    actual = arm.agent.planner.next_clusters(pairs, STREAM)
    assert actual.shape == (4, 10)
    for pair, best in zip(pairs[:3].tolist(), actual[:3], strict=True):
        score = np.zeros(len(interest))
        for c, p in product(range(len(interest)), range(len(weight))):
            if interest[c] >= 0 and interest[c] not in interest[pair]:
                score[c] += weight[p] * typical[p, interest[c]] * sum(typical[p, interest[past]] for past in pair)
        best = best[best >= 0]
        assert score[best] == pytest.approx(np.sort(score)[::-1][: len(best)])
        assert score[best].min() > 0
        assert len(best) == 10 or len(best) == (score > 0).sum()
    assert (actual[3] == -1).all()


def test_it_does_not_depend_on_users_state(arm):
    users = np.arange(150)
    before = arm.agent.planner.propose(arm.records.requests(users, 3), STREAM)
    people = arm.world.population
    people.status[:] = people.status[::-1]
    people.interest[:], people.affinity[:] = people.interest[::-1].copy(), people.affinity[::-1].copy()
    assert (arm.agent.planner.propose(arm.records.requests(users, 3), STREAM) == before).all()


def test_pairs_of_loved_interests_lead_to_more_that_is_loved_than_chance_does(arm):
    """Where the door lets knowledge through: two interests that a user loves and knows."""
    interest, people, rng = interests_of(arm), arm.world.population, STREAM.generator()
    by_oracle, by_chance = [], []
    for user in range(150):
        status, of_user = people.status[user], people.interest[user]
        known = np.flatnonzero(np.isin(interest, of_user[status == DISCOVERED]))
        dormant = np.isin(interest, of_user[status == DORMANT])
        if len(known) < 2:
            continue
        best = arm.agent.planner.next_clusters(rng.choice(known, (1, 2), replace=False), STREAM)[0]
        best = best[~np.isin(best, known) & (best >= 0)][:1]
        by_oracle += dormant[best].tolist()
        by_chance.append(np.delete(dormant, known).mean())
    assert len(by_oracle) > 80
    assert np.mean(by_oracle) > 1.2 * np.mean(by_chance)


def test_users_are_planned_for_one_by_one_as_in_a_crowd(arm, monkeypatch):
    crowd = arm.agent.planner.propose(arm.records.requests(np.arange(150), 3), STREAM)
    alone = arm.agent.planner.propose(arm.records.requests(np.array([9, 77]), 3), STREAM)
    assert (alone == crowd[[9, 77]]).all()
    monkeypatch.setattr("experiments.oracles.persona_oracle._CHUNK", 7)
    assert (arm.agent.planner.propose(arm.records.requests(np.arange(150), 3), STREAM) == crowd).all()


def test_plans_are_new_to_the_user(arm):
    users = np.arange(150)
    plan = arm.agent.planner.propose(arm.records.requests(users, 3), STREAM)
    consumed = arm.platform.consumed_clusters(users)
    enough = (~consumed).sum(axis=1) >= 3
    assert not np.take_along_axis(consumed, plan, axis=1)[enough].any()
    assert all(len(set(row)) == 3 for row in plan.tolist())


def test_nothing_is_read_unless_it_was_revealed(config, tmp_path):  # noqa: F811
    agent = HierarchicalAgent(PersonaOraclePlanner(), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent)
    with pytest.raises(InvalidInput, match=r"agent persona_oracle.*reveal\(world\)"):
        agent.recommend(arm.records.requests(np.arange(5), 2), STREAM)
    reveal(agent, arm.world)
    run_day([arm], 0)
    requests = arm.records.requests(np.arange(5), 2)
    plan = agent.recommend(requests, STREAM).cluster
    agent.save(tmp_path)
    loaded = HierarchicalAgent(PersonaOraclePlanner(), RandomWithinClusterRanker())
    loaded.load(tmp_path, arm.platform)
    with pytest.raises(InvalidInput, match="persona_oracle"):
        loaded.recommend(requests, STREAM)
    reveal(loaded, arm.world)
    assert (loaded.recommend(requests, STREAM).cluster == plan).all()
    with pytest.raises(InvalidInput, match=r"top_n=0: must be a whole number, at least 1"):
        PersonaOraclePlanner(top_n=0)


def test_without_a_history_it_plans_at_random(config):  # noqa: F811
    agent = HierarchicalAgent(PersonaOraclePlanner(), RandomWithinClusterRanker())
    arm = make_arm(config, agent=agent)
    reveal(agent, arm.world)
    requests, chance = arm.records.requests(np.arange(20), 2), RandomNovelPlanner()
    chance.load(None, arm.platform)
    plan = agent.planner.propose(requests, STREAM)
    assert plan.shape == chance.propose(requests, STREAM).shape
    assert len(np.unique(plan)) > 8


def linked(links, num_interests):
    has = links.dense(num_interests) > 0
    return (has.T.astype(int) @ has.astype(int)) > 0


def test_the_dial_keeps_its_share_of_the_links_and_more_knowledge_holds_less():
    tree = load_tree(256)
    shares, right = [0.0, 0.2, 0.5, 0.8, 1.0], []
    for share in shares:
        own = degraded(tree.links, 256, share, 0)
        there = tree.links.interest >= 0
        right.append((own.interest == tree.links.interest) & there)
        assert right[-1][there].mean() == pytest.approx(share, abs=0.03)
        assert not (repeats(own.interest) & (own.interest >= 0)).any()
        assert ((own.strength > 0) == (own.interest >= 0)).all()
    for less, more in pairwise(right):
        assert not (less & ~more).any()
    assert degraded(tree.links, 256, 1.0, 0) is tree.links
    assert not np.array_equal(degraded(tree.links, 256, 0.0, 0).interest, degraded(tree.links, 256, 0.0, 1).interest)


def test_without_knowledge_links_are_right_as_often_as_chance():
    tree = load_tree(256)
    truth = linked(tree.links, 256)
    off_diagonal = ~np.eye(256, dtype=bool)
    hits = [truth[linked(degraded(tree.links, 256, 0.0, deal), 256) & off_diagonal].mean() for deal in range(20)]
    assert np.mean(hits) == pytest.approx(truth[off_diagonal].mean(), abs=0.01)


def test_a_planner_of_no_knowledge_plans_otherwise_than_one_of_all(arm):
    requests = arm.records.requests(np.arange(150), 2)
    planned = {}
    for share in (0.0, 1.0):
        planner = PersonaOraclePlanner(knowledge=share)
        planner.reveal(arm.world)
        planner.load(None, arm.platform)
        planned[share] = planner.propose(requests, STREAM)
    assert not np.array_equal(planned[0.0], planned[1.0])
    with pytest.raises(InvalidInput, match="knowledge"):
        PersonaOraclePlanner(knowledge=1.5)
