from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.check import validate
from agents.hierarchical import HierarchicalAgent
from agents.planner import Planner
from agents.planners import RandomNovelPlanner
from agents.popular import PopularAgent
from agents.sequence import SequenceAgent
from agents.sequence_ranker import SequenceRanker
from tests.agents.planted import STREAM, planted, successor


@pytest.fixture(scope="module")
def world():
    return planted(successor())


@pytest.fixture(scope="module")
def production(world):
    agent = SequenceAgent(epochs=2)
    agent.fit(world.platform, world.log, STREAM)
    return agent


@pytest.fixture(scope="module")
def ranker(world, production):
    ranker = SequenceRanker(exploration=1)
    ranker.bind(production)
    ranker.fit(world.platform, world.log, STREAM)
    return ranker


def full_softmax(world, production, requests):
    """(N, n) probabilities over all uploaded items, and (N, n) what may be shown."""
    live = world.platform.live_items()
    num_items = world.platform.catalog.num_items
    policy = np.zeros((len(requests), num_items))
    policy[:, live] = production.live_scores(production.encode(requests)).double().softmax(dim=1).numpy()
    showable = np.zeros((len(requests), num_items), bool)
    showable[:, live] = True
    for row, gone in enumerate(requests.exclude):
        showable[row, gone[gone >= 0]] = False
    return policy, showable


@torch.no_grad()
def test_the_restricted_softmax_is_the_masked_full_softmax(world, production, ranker):
    requests = world.requests(2)
    allowed = np.stack([np.arange(60) % 8, (np.arange(60) + 3) % 8], axis=1).astype(np.int32)
    slates = ranker.rank(requests, allowed, STREAM)
    policy, showable = full_softmax(world, production, requests)
    cluster = world.platform.cluster_of_item
    masked = policy * showable * (cluster == allowed[:, :1]) + policy * showable * (cluster == allowed[:, 1:])
    rows = np.arange(60)
    for slot in range(2):
        expected = masked[rows, slates.items[:, slot]] / masked.sum(axis=1)
        assert (expected > 0).all()
        assert slates.propensity[:, slot] == pytest.approx(expected, rel=1e-4)
        masked[rows, slates.items[:, slot]] = 0


def test_a_cluster_named_twice_counts_once(world, ranker):
    once = np.full((60, 1), 3, np.int32)
    pad = np.full((60, 2), [3, -1], np.int32)
    twice = np.full((60, 2), 3, np.int32)
    slates = [ranker.rank(world.requests(2), allowed, STREAM) for allowed in (once, pad, twice)]
    for other in slates[1:]:
        assert (other.items == slates[0].items).all()
        assert (other.propensity == slates[0].propensity).all()


@torch.no_grad()
def test_what_the_clusters_lack_comes_from_all_clusters(world, production, ranker):
    live = world.platform.live_items()
    of_three = live[world.platform.cluster_of_item[live] == 3]
    exclude = np.full((60, len(of_three)), -1)
    exclude[20:40, :-1] = of_three[:-1]  # one item left
    exclude[40:] = of_three  # none left
    requests = replace(world.requests(3), exclude=exclude)
    slates = ranker.rank(requests, np.full((60, 1), 3, np.int32), STREAM)
    validate(slates, requests, world.platform, "ranker")
    inside = np.isin(slates.items, of_three)
    assert inside[:20].all()
    assert (inside[20:40] == [True, False, False]).all()
    assert (slates.propensity[20:40, 0] == 1).all()
    assert not inside[40:].any()


def test_all_clusters_are_what_production_would_explore(world, production, ranker):
    everyone = production.exploration
    production.exploration = 1.0
    try:
        theirs = production.recommend(world.requests(3), STREAM)
    finally:
        production.exploration = everyone
    ours = ranker.rank(world.requests(3), None, STREAM)
    assert (ours.items == theirs.items).all()


def test_production_is_shared_not_trained(world, production):
    ranker = SequenceRanker()
    ranker.bind(production)
    before = production._training.table.value.clone()
    ranker.fit(world.platform, world.log, STREAM)
    ranker.update(world.log, STREAM)
    assert ranker.model is production
    assert torch.equal(before, production._training.table.value)


def test_with_another_production_the_ranker_trains_its_own(world):
    ranker = SequenceRanker()
    ranker.bind(PopularAgent())
    ranker.fit(world.platform, world.log.where(world.log.day < 2), STREAM)
    assert ranker.model.trained


def test_before_any_training_items_within_the_cluster_are_equally_likely(world):
    ranker = SequenceRanker(exploration=0)
    ranker.fit(world.platform, world.log.where(np.zeros(len(world.log), bool)), STREAM)
    requests = replace(world.requests(1), exclude=np.full((60, 1), -1))
    slates = ranker.rank(requests, np.full((60, 1), 3, np.int32), STREAM)
    of_three = (world.platform.cluster_of_item[world.platform.live_items()] == 3).sum()
    assert slates.propensity == pytest.approx(1 / of_three)


class Fixed(Planner):
    """Plans clusters 6, 2, 6 for everyone."""

    def propose(self, requests, rng):
        return np.tile(np.array([6, 2, 5], np.int32), (len(requests), 1))[:, : requests.num_slots]


def test_slots_are_filled_as_planned_without_repeats(world, production):
    agent = HierarchicalAgent(Fixed(), SequenceRanker(exploration=0))
    agent.bind(production)
    agent.fit(world.platform, world.log, STREAM)
    requests = world.requests(3)
    slates = agent.recommend(requests, STREAM)
    validate(slates, requests, world.platform, "fixed")
    assert (world.platform.cluster_of_item[slates.items] == [6, 2, 5]).all()
    assert (slates.cluster == [6, 2, 5]).all()
    assert (slates.propensity == 1).all()


def test_levels_are_saved_apart(world, tmp_path):
    agent = HierarchicalAgent(RandomNovelPlanner(), SequenceRanker())
    agent.fit(world.platform, world.log.where(world.log.day == 0), STREAM)
    agent.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["planner", "ranker"]
    assert (tmp_path / "ranker" / "model.safetensors").exists()
