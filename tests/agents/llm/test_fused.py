"""The fused forward pass computes what transformers does."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers  # its classes are imported when they are asked for
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.llm.fused import FusedModel, fusible
from agents.llm.kernels import add_and_normalise, exponential, gate
from agents.llm.model import load_model, load_tokenizer
from agents.llm.prompt import tokenise_prompts
from agents.llm.scoring import PrefixCache, label_log_probabilities
from agents.llm.trie import LabelTrie
from tests.agents.llm.conftest import clusters_of
from tests.agents.llm.reference import plain_scores

_TRAILS = tuple((f"trail {one}", f"trail {two}") for one, two in zip("abcdefg", "tuvwxyz", strict=True))


@pytest.fixture(scope="module", params=[(4, 4, 64), (6, 2, 96), (9, 3, 72)], ids=["heads", "groups", "wide"])
def tiny(request):
    """A model of random weights: heads, groups of them, width. Code is compiled for each size of heads: all have 16."""
    heads, groups, width = request.param
    config = transformers.LlamaConfig(
        vocab_size=200,
        hidden_size=width,
        intermediate_size=56,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=16,
        rope_theta=1000.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():  # as they come, weights are so small that all tokens are about as likely
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    return model


def labels_of(draw_numbers):
    """Labels that share first and second tokens, each with an end of its own."""
    return [(*path, 199) for path in sorted({tuple(p) for p in draw_numbers})]


@settings(max_examples=10, deadline=None)
@given(
    contexts=st.lists(st.lists(st.integers(0, 190), min_size=1, max_size=9), min_size=1, max_size=6),
    prefix=st.lists(st.integers(0, 190), min_size=1, max_size=12),
    paths=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=2, max_size=12),
)
def test_scores_of_any_lengths_and_labels_are_those_of_transformers(tiny, contexts, prefix, paths):
    labels = labels_of(paths)
    trie = LabelTrie.build(labels)
    fused = FusedModel(tiny, 64)
    got = fused.label_log_probabilities(contexts, trie, fused.past(tuple(prefix)))
    expected = label_log_probabilities(tiny, contexts, trie, PrefixCache.of(tiny, tuple(prefix)))
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_a_context_scores_the_same_in_any_company(tiny):
    trie = LabelTrie.build([(1, 2), (1, 3), (4,)])
    fused = FusedModel(tiny, 64)
    past = fused.past((5, 6, 7))
    contexts = [(8, 9), (10,), (11, 12, 13, 14, 15)]
    together = fused.label_log_probabilities(contexts, trie, past)
    for row, context in enumerate(contexts):
        np.testing.assert_allclose(fused.label_log_probabilities([context], trie, past)[0], together[row], atol=1e-5)


@pytest.mark.slow
def test_real_model_equals_each_label_as_a_plain_sequence(weights):
    model = load_model(weights, torch.float32)
    prompts = tokenise_prompts(clusters_of(_TRAILS), 2, load_tokenizer(weights))
    trie = LabelTrie.build(prompts.label)
    assert len(trie.tokens) > 0  # all begin with the same word
    fused = FusedModel(model, prompts.longest)
    for first, second in [(0, 1), (6, 3)]:
        got = fused.label_log_probabilities([prompts.suffix[second]], trie, fused.past(prompts.prefix[first]))
        np.testing.assert_allclose(got[0], plain_scores(model, prompts, first, second), atol=1e-4)


@pytest.mark.slow
def test_bf16_is_at_least_as_exact_as_that_of_transformers(weights, clusters):
    """Against the same rounded weights in fp32."""
    half = load_model(weights, torch.bfloat16)
    exact = load_model(weights, torch.float32)
    with torch.no_grad():
        for rounded, parameter in zip(half.parameters(), exact.parameters(), strict=True):
            parameter.copy_(rounded.float())
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(weights))
    trie = LabelTrie.build(prompts.label)
    off = {"fused": [], "transformers": []}
    for first in range(3):
        truth = label_log_probabilities(exact, prompts.suffix, trie, PrefixCache.of(exact, prompts.prefix[first]))
        fused = FusedModel(half, prompts.longest)
        got = fused.label_log_probabilities(prompts.suffix, trie, fused.past(prompts.prefix[first]))
        plain = label_log_probabilities(half, prompts.suffix, trie, PrefixCache.of(half, prompts.prefix[first]))
        off["fused"].append(got - truth)
        off["transformers"].append(plain - truth)
    assert np.std(off["fused"]) < np.std(off["transformers"])
    assert np.std(off["fused"]) < 0.05


@settings(deadline=None)
@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=50))
def test_exponential(numbers):
    expected = np.exp(np.array(numbers, np.float64))
    np.testing.assert_allclose([exponential(np.float32(x)) for x in numbers], expected, rtol=5e-7)


@settings(deadline=None)
@given(st.lists(st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=False), min_size=1, max_size=50))
def test_rounding_to_bf16_is_torchs(numbers):
    x = np.array([numbers], np.float32)
    x[np.abs(x) < 2.0**-40] = 0  # what is smaller is lost on the way
    out = np.empty(x.shape, np.uint16)
    # Weight and an epsilon that outweighs any mean square undo each other, exactly.
    weight = np.full(x.shape[1], 2.0**60, np.float32)
    add_and_normalise(np.zeros_like(x), x, weight, np.float32(2.0**120), out)
    assert (out == torch.from_numpy(x).bfloat16().view(torch.uint16).numpy()).all()


def test_normalisation_and_gate_are_the_formulas():
    rng = np.random.default_rng(0)
    stream, added = rng.normal(size=(2, 5, 24)).astype(np.float32)
    weight = rng.normal(size=24).astype(np.float32)
    total = stream + added
    out = np.empty_like(stream)
    add_and_normalise(stream, added, weight, np.float32(0.1), out)
    np.testing.assert_allclose(stream, total)
    expected = total / np.sqrt((total**2).mean(axis=1, keepdims=True) + 0.1) * weight
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    out = np.empty((5, 12), np.float32)
    gate(total, out)
    expected = torch.nn.functional.silu(torch.from_numpy(total[:, :12])).numpy() * total[:, 12:]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_what_is_not_a_plain_llama_is_left_to_transformers(tiny):
    assert fusible(tiny.config, torch.float32)
    assert fusible(tiny.config, torch.bfloat16)
    assert not fusible(tiny.config, torch.float16)
    assert not fusible(transformers.Qwen2Config(), torch.float32)
    for change in ({"attention_bias": True}, {"mlp_bias": True}, {"hidden_act": "gelu"}):
        assert not fusible(transformers.LlamaConfig(**change), torch.float32)


def test_trie_paths_say_what_its_mask_says():
    trie = LabelTrie.build([(1, 2, 3), (1, 2, 4), (1, 5), (6, 7), (6, 8)])
    for row, path in enumerate(trie.paths):
        assert sorted(path[path >= 0]) == np.flatnonzero(trie.sees[row]).tolist()
        assert path[path >= 0][-1] == row
    assert dataclasses.replace(trie).paths.shape == (len(trie.tokens), int(trie.depth.max()))
