"""The pipeline with models of other families, tiny and with random weights (see ``families``)."""

import json

import numpy as np
import pytest
import torch
import transformers  # its classes are imported when they are asked for
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from agents.llm.curation import curate, split_by_pair
from agents.llm.evaluation import Samples, match_rate
from agents.llm.finetune import finetune
from agents.llm.local_engines import TransformersEngine
from agents.llm.model import check_context, load_model, load_tokenizer
from agents.llm.past_tables import fill_table
from agents.llm.prompt import prompt_text, tokenise_prompts
from agents.llm.scoring import PrefixCache, label_log_probabilities, score_pairs
from agents.llm.trie import LabelTrie
from agents.llm.updates import Updates
from agents.llm.weights import model_digest
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.agents.llm.conftest import KEYWORDS, clusters_of
from tests.agents.llm.families import FAMILIES, SMALL, gemma_tokenizer, llama_tokenizer, make_family, qwen_tokenizer
from tests.agents.llm.reference import complete, plain_scores

RNG = RandomStream(8, "families")
PAIRS = [(0, 1), (3, 3), (5, 9)]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return request.param, make_family(request.param, tmp_path_factory.mktemp("families") / request.param)


@pytest.fixture(scope="module")
def folder(family):
    return family[1]


def prompts_of(folder, clusters):
    return tokenise_prompts(clusters, 3, load_tokenizer(folder))


def test_tokens_say_what_the_template_says_and_what_a_server_would_make_of_it(family, clusters):
    name, folder = family
    tokenizer, prompts = load_tokenizer(folder), prompts_of(folder, clusters)
    begins = {"llama": "<s> ", "gemma3": "<bos>", "qwen2": "", "qwen3": ""}[name]
    text = prompt_text(prompts.text, 2, 5, chat=False)
    assert tokenizer.decode(prompts.prompt(2, 5) + prompts.label[9][:-1]) == f"{begins}{text} {prompts.text[9]}"
    for first, second in np.ndindex(10, 10):
        assert (
            list(prompts.prompt(first, second)) == tokenizer(prompt_text(prompts.text, first, second, False)).input_ids
        )
    assert tokenizer.decode(prompts.label[9]).strip() == prompts.text[9] + tokenizer.eos_token


def test_all_labels_at_once_score_as_each_alone(folder, clusters):
    prompts = prompts_of(folder, clusters)
    trie, model = LabelTrie.build(prompts.label), load_model(folder, torch.float32)
    first, second = np.array(PAIRS).T
    plain = np.stack([plain_scores(model, prompts, c1, c2) for c1, c2 in PAIRS])
    assert plain.std() > 0.5  # the model has opinions
    np.testing.assert_allclose(score_pairs(model, prompts, trie, first, second), plain, atol=1e-4)
    for row, (c1, c2) in enumerate(PAIRS):
        prefix = PrefixCache.of(model, prompts.prefix[c1])
        both = label_log_probabilities(model, [prompts.suffix[c2], prompts.suffix[1]], trie, prefix)
        np.testing.assert_allclose(both[0], plain[row], atol=1e-4)


def test_bf16_rounds_and_no_more(folder, clusters):
    prompts = prompts_of(folder, clusters)
    trie, first, second = LabelTrie.build(prompts.label), *np.array(PAIRS).T
    exact = score_pairs(load_model(folder, torch.float32), prompts, trie, first, second)
    rounded = score_pairs(load_model(folder, torch.bfloat16), prompts, trie, first, second)
    assert 0 < abs(rounded - exact).max() < 0.15
    np.testing.assert_allclose(np.exp(rounded).sum(axis=1), 1, atol=1e-4)


def test_more_labels_than_the_window_is_wide(tmp_path):
    """The labels' tokens together are wider than Gemma's window; each label's own path is not."""
    words = ("espresso", "tofu", "trail", "bread", "cat toys", "switches", "vinyl", "yoga", "chess", "kettles", "ferns")
    clusters = clusters_of([(f"{a} {b}",) for a in words for b in words])
    prompts = tokenise_prompts(clusters, 3, gemma_tokenizer())
    trie, longest = LabelTrie.build(prompts.label), prompts.longest
    assert len(prompts.prompt(0, 1)) + len(trie.tokens) > longest
    folder = make_family("gemma3", tmp_path / "gemma", sliding_window=longest)
    check_context(folder, longest)
    model = load_model(folder, torch.float32)
    scores = label_log_probabilities(model, [prompts.suffix[1]], trie, PrefixCache.of(model, prompts.prefix[0]))
    np.testing.assert_allclose(scores[0], plain_scores(model, prompts, 0, 1), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "precision"), [("full", "fp32"), ("full", "bf16"), ("lora", "fp32")])
def test_fine_tuning_and_the_table(folder, clusters, transitions, make_settings, tmp_path, method, precision):
    kept, held_out = split_by_pair(transitions, 0.2, RNG)
    samples = curate(kept, 10, 10, "diversified", RNG)
    settings = make_settings(
        method=method, precision=precision, steps=8, batch_size=16, learning_rate=0.01, eval_every=8
    )
    tuned = finetune(folder, clusters, samples, held_out, settings, tmp_path / "run", RNG)
    curve = json.loads((tmp_path / "run" / "curve.json").read_text())["steps"]
    assert curve[1]["held_out_loss"] < curve[0]["held_out_loss"] - 0.2
    table = fill_table(tuned, clusters, settings, tmp_path / "table", RNG)
    pair = np.arange(100)
    assert not (table.clusters == (pair // 10)[:, None]).any()
    assert not (table.clusters == (pair % 10)[:, None]).any()


def test_what_is_evaluated_is_what_will_be_served(folder, clusters, tmp_path):
    prompts = prompts_of(folder, clusters)
    updates = Updates(load_model(folder, torch.float32), prompts, torch.bfloat16, 0.01, 4)
    ids = torch.tensor([prompts.prompt(2, 5)])

    def as_served(weights):
        served = load_model(weights, torch.bfloat16)
        served.set_attn_implementation("eager")
        return served(input_ids=ids).logits

    with torch.inference_mode():
        assert torch.equal(updates.served(input_ids=ids).logits, as_served(folder))
    updates.apply(Samples(np.array([0, 1, 2]), np.array([4, 5, 6]), np.array([7, 8, 9])), 1.0)
    updates.model.save_pretrained(tmp_path)
    with torch.inference_mode():
        assert torch.equal(updates.served(input_ids=ids).logits, as_served(tmp_path))


def greedy(model, tokens, ends, max_tokens):
    """The plainest greedy continuation: one sequence, no pads, no cache."""
    said = []
    with torch.inference_mode():
        while len(said) < max_tokens and (not said or said[-1] not in ends):
            logits = model(input_ids=torch.tensor([[*tokens, *said]]), use_cache=False).logits
            said.append(int(logits[0, -1].argmax()))
    return said[:-1] if said[-1] in ends else said


def test_free_generation_is_plain_greedy_decoding(folder, clusters):
    # What models bring along to please people must not act: Qwen comes with such a penalty.
    own = json.loads((folder / "generation_config.json").read_text())
    own |= {"repetition_penalty": 5.0, "do_sample": True, "temperature": 0.7, "no_repeat_ngram_size": 2}
    (folder / "generation_config.json").write_text(json.dumps(own))
    tokenizer, model = load_tokenizer(folder), load_model(folder, torch.float32)
    texts = prompts_of(folder, clusters).text
    prompts = [prompt_text(texts, 0, 1, False), *texts[5:8]]  # of several lengths, with different last words
    engine = TransformersEngine(folder, "fp32")
    expected = [greedy(model, tokenizer(p).input_ids, {tokenizer.eos_token_id}, 12) for p in prompts]
    assert complete(engine, prompts, 12) == [tokenizer.decode(said, skip_special_tokens=True) for said in expected]
    assert len({tuple(said) for said in expected}) > 1
    assert engine.cost.requests == 4
    assert engine.cost.prompt_tokens == sum(len(tokenizer(p).input_ids) for p in prompts)
    assert engine.cost.completion_tokens <= 48


def test_chat_goes_through_the_models_template(folder, clusters):
    tokenizer, model = load_tokenizer(folder), load_model(folder, torch.float32)
    engine = TransformersEngine(folder, "fp32", chat=True)
    message = [{"role": "user", "content": "tofu; espresso"}]
    tokens = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert tokens.count(tokenizer.bos_token_id) <= 1  # the template's own, not one more
    said = greedy(model, tokens, {tokenizer.eos_token_id}, 8)
    assert complete(engine, ["tofu; espresso"], 8) == [tokenizer.decode(said, skip_special_tokens=True)]
    assert engine.description["chat"] is True


def test_match_rate_counts_texts_that_end(folder, clusters, monkeypatch):
    prompts, tokenizer = prompts_of(folder, clusters), load_tokenizer(folder)
    said = [prompts.label[1], prompts.label[2][:-1], (*prompts.label[3][:-2], prompts.end)]  # whole, endless, cut short
    monkeypatch.setattr("agents.llm.evaluation.generate", lambda *args: said)
    samples = Samples(np.array([0, 1, 2]), np.array([4, 5, 6]), np.array([7, 8, 9]))
    assert match_rate(None, tokenizer, prompts, samples) == pytest.approx(1 / 3)


def test_a_tokenizer_that_marks_every_beginning_gets_the_same_tokens(clusters):
    """Older files of Llama's tokenizer put the mark of a word before whatever they are given."""
    modern, old = llama_tokenizer(), llama_tokenizer()
    old.backend_tokenizer.pre_tokenizer = None
    old.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    assert old(" tofu").tokens() != modern(" tofu").tokens()
    made, expected = (tokenise_prompts(clusters, 3, tokenizer) for tokenizer in (old, modern))
    assert (made.prefix, made.suffix, made.label) == (expected.prefix, expected.suffix, expected.label)


def test_a_tokenizer_without_an_end_is_refused(clusters):
    tokenizer = qwen_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(InvalidInput, match="must have an end-of-text token"):
        tokenise_prompts(clusters, 3, tokenizer)


def test_no_chat_template(tmp_path):
    folder = make_family("llama", tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InvalidInput, match=r"llm\.chat=True: must be false .* has no chat template"):
        TransformersEngine(folder, "fp32", chat=True)


def test_prompts_longer_than_the_context(clusters, make_settings, transitions, tmp_path):
    short = make_family("qwen2", tmp_path / "short", max_position_embeddings=30)
    says = r"llm\.model=.*must see \d+ tokens at once, prompt and answer, and sees 30; llm\.num_keywords"
    with pytest.raises(InvalidInput, match=says):
        fill_table(short, clusters, make_settings(), tmp_path / "table", RNG)
    samples = curate(transitions, 10, 10, "diversified", RNG)
    with pytest.raises(InvalidInput, match=says):
        finetune(short, clusters, samples, transitions, make_settings(), tmp_path / "run", RNG)
    with pytest.raises(InvalidInput, match=r"must see \d+ tokens at once"):
        complete(TransformersEngine(short, "fp32"), ["tofu " * 40], 5)
    narrow = make_family("gemma3", tmp_path / "narrow", sliding_window=20)
    with pytest.raises(InvalidInput, match="sees 20"):
        check_context(narrow, 30)
    check_context(make_family("qwen2", tmp_path / "unused", sliding_window=20), 30)  # has one, and doesn't use it


def test_labels_with_the_same_tokens_are_refused(clusters):
    vocab = {"<unk>": 0, "<end>": 1, "tofu": 2, "chess": 3}
    words = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<end>")
    with pytest.raises(InvalidInput, match="must tell 'go' from 'bridge': it makes the same tokens of both"):
        tokenise_prompts(clusters_of([("tofu",), ("go",), ("bridge",)]), 3, tokenizer)
    with pytest.raises(InvalidInput, match=r"clusters\.keywords='tofu <end> chess': must not contain"):
        tokenise_prompts(clusters_of([("tofu",), ("tofu <end> chess",), ("chess",)]), 3, tokenizer)


def test_a_label_may_begin_another(folder):
    """Texts that begin each other are fine: the end-of-text token tells them apart."""
    clusters = clusters_of([("trail",), ("trail maps",), ("trail maps, tofu",), ("tea",)])
    prompts, model = prompts_of(folder, clusters), load_model(folder, torch.float32)
    scores = score_pairs(model, prompts, LabelTrie.build(prompts.label), np.array([0]), np.array([3]))
    np.testing.assert_allclose(scores[0], plain_scores(model, prompts, 0, 3), atol=1e-4)


@pytest.mark.parametrize(
    "keywords", [[("tofu",), ("tofu",), ("tea",)], [("a", "b"), ("a, b",), ("tea",)], [("a",), ()]]
)
def test_clusters_with_equal_or_no_keywords_are_refused(keywords):
    with pytest.raises(InvalidInput, match=r"clusters\.keywords="):
        clusters_of(keywords)


def test_encoders_are_refused(tmp_path):
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1
    )
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="must hold a causal language model, not BertForMaskedLM"):
        load_model(tmp_path, torch.float32)


def test_a_head_that_does_more_than_multiply_is_refused(tmp_path):
    config = transformers.Gemma2Config(**SMALL, vocab_size=60, head_dim=16, final_logit_softcapping=30.0)
    transformers.Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="a capped or biased output head won't do"):
        load_model(tmp_path, torch.float32)


@pytest.mark.parametrize(
    ("config_of", "says"),
    [
        ("qwen3", r"weights of the qwen3 model.*missing: model\.layers\.0\.self_attn\.k_norm"),
        ("llama", r"weights of the llama model.*unexpected: model\.layers\.0\.self_attn\.k_proj\.bias"),
        ("wider", r"must hold a causal language model"),
        ("deeper", r"missing: model\.layers\.2"),
        ("nothing", r"must hold a causal language model"),
        ("unknown", r"must hold a causal language model"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path, config_of, says):
    folder = make_family("qwen2", tmp_path / "weights")
    config = json.loads((folder / "config.json").read_text())
    if config_of in FAMILIES:
        tied = {"tie_word_embeddings": True, "vocab_size": config["vocab_size"], "head_dim": 16}
        other = make_family(config_of, tmp_path / "other", **tied)
        (folder / "config.json").write_text((other / "config.json").read_text())
    else:
        change = {"wider": {"hidden_size": 64}, "deeper": {"num_hidden_layers": 3, "layer_types": None}}
        config |= change.get(config_of, {"model_type": "no-such-model"})
        (folder / "config.json").write_text("{}" if config_of == "nothing" else json.dumps(config))
    with pytest.raises(InvalidInput, match=says) as caught:
        load_model(folder, torch.float32)
    assert "\n" not in str(caught.value)


def test_every_keyword_can_be_said(folder):
    """No token of a label is unknown, whatever the script."""
    clusters = clusters_of([*KEYWORDS[:8], ("折り紙", "café"), ("🎹 piano",)])
    prompts, tokenizer = prompts_of(folder, clusters), load_tokenizer(folder)
    assert [tokenizer.decode(label[:-1]).strip() for label in prompts.label] == list(prompts.text)


def test_gemma_keeps_its_tokens_for_turns(clusters):
    tokenizer = gemma_tokenizer()
    assert tokenizer("<start_of_turn>", add_special_tokens=False).input_ids == [5]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_an_edited_config_or_tokenizer_is_another_model(name, tmp_path):
    """The weights alone do not decide what a model answers: rope_theta, say, stands in its config."""
    folder = make_family("qwen2", tmp_path / "model")
    before = model_digest(folder)
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert model_digest(folder) != before
