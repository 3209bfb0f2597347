from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.objectives import CrossEntropy
from agents.sequence import SequenceAgent
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, make_catalog, make_log, planted, request, successor


@pytest.fixture(scope="module")
def world():
    return planted(successor())


@pytest.fixture(scope="module")
def agent(world):
    agent = SequenceAgent(epochs=6, objective=CrossEntropy(), exploration=0)
    agent.fit(world.platform, world.log, STREAM)
    return agent


def test_planted_transitions_are_learned_to_near_the_optimum(world, agent):
    """The best policy shows the next cluster alone, which chance does for an eighth of the slots."""
    slates = agent.recommend(world.requests(3), STREAM)
    shown = world.platform.cluster_of_item[slates.items]
    wanted = (world.latest_cluster() + 1) % 8
    assert (shown == wanted[:, None]).mean() > 0.95


def test_the_distribution_over_clusters_is_calibrated(world, agent):
    """The planted probability of the next cluster is 0.9 + 0.1 / 8."""
    with torch.no_grad():
        policy = agent.live_scores(agent.encode(world.requests())).softmax(dim=1).numpy()
    cluster = world.platform.cluster_of_item[world.platform.live_items()]
    wanted = (world.latest_cluster() + 1) % 8
    mass = (policy * (cluster == wanted[:, None])).sum(axis=1)
    assert 0.8 < mass.mean() < 0.97


def test_new_items_are_served_by_their_content(world, agent):
    catalog = world.platform.catalog
    rng = np.random.default_rng(5)
    grown = planted(successor())
    both = make_catalog(np.arange(248) % 8, grown.records.clusters.centroid, rng, np.full(248, 10_000))
    before, fresh = SequenceAgent(epochs=6, objective=CrossEntropy()), np.arange(catalog.num_items, 248)
    before.fit(grown.platform, grown.log, STREAM)
    grown.records.begin_day(7, both)
    state = before.encode(grown.requests())
    best = fresh[before.scores(state, fresh).numpy().argmax(axis=1)]
    assert (best % 8 == (grown.latest_cluster() + 1) % 8).mean() > 0.9


def test_untrained_it_is_uniform_and_then_learns_from_days_alone(world):
    agent = SequenceAgent(objective=CrossEntropy(), exploration=0)
    agent.fit(world.platform, world.log.where(np.zeros(len(world.log), bool)), STREAM)
    slates = agent.recommend(world.requests(2), STREAM)
    excluded = world.requests().exclude
    dead = ~world.platform.catalog.alive(world.platform.day)[excluded]
    num_excluded = [len(set(row[~gone])) for row, gone in zip(excluded, dead, strict=True)]
    assert slates.propensity[:, 0] == pytest.approx(1 / (len(world.platform.live_items()) - np.array(num_excluded)))
    for _ in range(3):
        for day in range(6):
            agent.update(world.log.where(world.log.day == day), STREAM.at(day))
    shown = world.platform.cluster_of_item[agent.recommend(world.requests(3), STREAM).items]
    assert (shown == ((world.latest_cluster() + 1) % 8)[:, None]).mean() > 0.8


def test_a_log_without_positives_changes_nothing(world, agent):
    log = world.log.where(world.log.day == 0)
    before = agent._training.table.value.clone()
    agent.update(make_log(log.user, log.item, log.cluster, log.day, positive=np.zeros(len(log), bool)), STREAM)
    assert torch.equal(before, agent._training.table.value)


def test_stopping_and_going_on_is_as_not_having_stopped(world, tmp_path):
    past, last = world.log.where(world.log.day < 5), world.log.where(world.log.day == 5)
    straight = SequenceAgent(epochs=1)
    straight.fit(world.platform, past, STREAM)
    for name in ("before", "straight", "resumed"):
        (tmp_path / name).mkdir()
    straight.save(tmp_path / "before")
    resumed = SequenceAgent(epochs=1)
    resumed.load(tmp_path / "before", world.platform)
    for agent, name in ((straight, "straight"), (resumed, "resumed")):
        agent.update(last, STREAM)
        agent.save(tmp_path / name)
    for file in ("model.safetensors", "events.safetensors"):
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()


def test_one_forward_pass_for_requests_that_share_their_items(world, agent):
    requests = world.requests()
    assert agent.encode(requests) is agent.encode(replace(requests, num_slots=1))
    assert agent.encode(requests) is not agent.encode(world.requests())


def test_scores_agree_with_live_scores(world, agent):
    state = agent.encode(world.requests())
    live = world.platform.live_items()
    full = agent.live_scores(state)
    assert torch.allclose(agent.scores(state, live), full, atol=1e-5)
    assert torch.allclose(agent.scores(state, np.tile(live[:7], (len(state), 1))), full[:, :7], atol=1e-5)


def test_training_sees_what_serving_sees(agent):
    """The state before the first real item is the one that serves a user without a history."""
    vectors, feedback = torch.ones(1, agent.history, agent.width), torch.zeros(1, agent.history, dtype=torch.long)
    with torch.no_grad():
        some = agent._training.model(vectors, feedback, torch.arange(agent.history)[None] >= 30, last_only=False)
        none = agent._training.model(vectors, feedback, torch.zeros(1, agent.history, dtype=torch.bool), last_only=True)
    assert torch.allclose(some[:, 30], none[:, 0], atol=1e-6)


def test_the_length_of_the_requests_history_does_not_matter(agent):
    short = request([[9, 18, 27]], [[1, 2, 3]])
    long = request([[-1] * 60 + [9, 18, 27]], [[-1] * 60 + [1, 2, 3]])
    assert torch.allclose(agent.encode(short), agent.encode(long), atol=1e-6)


def test_a_checkpoint_of_another_size_is_refused(world, tmp_path):
    agent = SequenceAgent(epochs=1)
    agent.fit(world.platform, world.log.where(world.log.day == 0), STREAM)
    agent.save(tmp_path)
    with pytest.raises(InvalidInput, match="configuration it was trained with"):
        SequenceAgent(width=32).load(tmp_path, world.platform)
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(InvalidInput, match="whole safetensors"):
        SequenceAgent().load(tmp_path, world.platform)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"num_heads": 3}, "num_heads"), ({"history": 1}, "history"), ({"temperature": 0}, "temperature")],
)
def test_bad_hyper_parameters_are_refused(options, field):
    with pytest.raises(InvalidInput, match=field):
        SequenceAgent(**options)
