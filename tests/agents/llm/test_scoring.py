import numpy as np
import pytest
import torch

from agents.llm.model import load_model, load_tokenizer
from agents.llm.prompt import cluster_texts, leading_keywords, tokenise_prompts
from agents.llm.ranking import mask_inputs, mixed
from agents.llm.scoring import PrefixCache, label_log_probabilities, score_pairs
from agents.llm.trie import LabelTrie
from tests.agents.llm.conftest import clusters_of
from tests.agents.llm.families import make_family
from tests.agents.llm.reference import plain_scores


@pytest.fixture(scope="module")
def prompts(clusters, weights):
    return tokenise_prompts(clusters, 3, load_tokenizer(weights))


def test_texts_are_as_long_as_they_must_be(clusters):
    texts = cluster_texts(clusters, 3)
    assert texts[0] == "espresso, latte art, coffee grinder, milk steaming"
    assert texts[1] == "espresso, latte art, coffee grinder, cafe at home"
    assert texts[2] == "sourdough starter, bread scoring, crusty loaf"
    assert cluster_texts(clusters, 1)[3] == "trail running"


def test_prompt_reads_as_the_template_says(prompts, weights):
    tokenizer = load_tokenizer(weights)
    text = tokenizer.decode(prompts.prompt(2, 5) + prompts.label[9])
    assert text == (
        "People who enjoy sourdough starter, bread scoring, crusty loaf and vegan recipes, tofu, lentil curry "
        "also enjoy kittens, cat toys, rescue cats" + tokenizer.eos_token
    )


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_shared_tree_and_plain_sequences_agree(real, weights, tmp_path):
    folder = weights if real else make_family("llama", tmp_path / "llama")
    model = load_model(folder, torch.float32)
    trails = [tuple(f"trail {word}" for word in words) for words in ("abc", "abd", "bcd", "xyz", "yzu", "klm")]
    keywords = [*trails, ("kittens",), ("tofu",), ("espresso",), ("houseplants",)]
    prompts = tokenise_prompts(clusters_of(keywords), 3, load_tokenizer(folder))
    trie = LabelTrie.build(prompts.label)
    assert len(trie.branchings) > 2  # there is one trail that may lead
    pairs = [(0, 1), (3, 3), (5, 9), (8, 0)]
    plain = np.stack([plain_scores(model, prompts, c1, c2) for c1, c2 in pairs])
    np.testing.assert_allclose(np.exp(plain).sum(axis=1), 1, atol=1e-4)
    assert plain.std() > 0.5  # the model has opinions

    first, second = np.array(pairs).T
    together = score_pairs(model, prompts, trie, first, second)  # of different lengths: some are padded
    np.testing.assert_allclose(together, plain, atol=1e-4)

    for row, (c1, c2) in enumerate(pairs):
        prefix = PrefixCache.of(model, prompts.prefix[c1])
        cached = label_log_probabilities(model, [prompts.suffix[c2], prompts.suffix[1]], trie, prefix)
        np.testing.assert_allclose(cached[0], plain[row], atol=1e-4)
        assert cached[0].argmax() == plain[row].argmax()


def test_inputs_are_no_labels():
    masked = mask_inputs(np.zeros((2, 4)), np.array([0, 2]), np.array([3, 2]))
    assert np.isneginf(masked).tolist() == [[True, False, False, True], [False, False, True, False]]


def test_mixed_without_weight_keeps_the_models_ranking():
    score, near = (np.random.default_rng(n).normal(size=(5, 7)).astype(np.float32) for n in range(2))
    assert (np.argsort(mixed(score, near, 0.0), axis=1) == np.argsort(score, axis=1)).all()


def test_mixed_with_much_weight_ranks_as_the_encoder():
    score, near = (np.random.default_rng(n).normal(size=(5, 7)).astype(np.float32) for n in range(2))
    assert (np.argsort(mixed(score, near, 1000.0), axis=1) == np.argsort(near, axis=1)).all()


def test_mixed_does_not_notice_the_units():
    score, near = (np.random.default_rng(n).normal(size=(5, 7)) for n in range(2))
    assert np.allclose(mixed(score, near, 1.5), mixed(3 * score - 2, 0.1 * near + 5, 1.5), atol=1e-5)


def test_names_begin_with_tokens_of_their_own(clusters, weights):
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(weights))
    assert prompts.text[:2] == ("espresso, latte art, coffee grinder", "latte art, espresso, coffee grinder")
    trails = ("trail running, marathon training, running shoes", "hiking boots, trail maps, backpacking")
    assert prompts.text[3:5] == trails
    assert len({label[0] for label in prompts.label}) == clusters.num_clusters
    assert len(LabelTrie.build(prompts.label).tokens) == 0


def test_names_of_clusters_without_a_first_token_to_spare_stay():
    class Letters:
        """A tokenizer of single characters."""

        def __call__(self, text, add_special_tokens):
            from types import SimpleNamespace

            return SimpleNamespace(input_ids=[ord(c) for c in text if c != " "])

    keywords = (("aa", "ab"), ("ac", "ba"), ("ad", "bb", "ca"), ("ae", "af"))
    # Three first letters for four clusters: the first and the last could both keep theirs.
    assert leading_keywords(clusters_of(keywords), Letters()) == (0, 1, 2, 0)
