"""Tiny models with random weights of the families that people bring, each with a tokenizer of its kind."""

import json

import torch
import transformers  # gives its classes one by one, when they are asked for: not where tests are collected
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from agents.llm.prompt import INSTRUCTION, prompt_text
from tests.agents.llm.conftest import KEYWORDS

GEMMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{{ message['content'] }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_CHAT = "{{ bos_token }}{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"

_TEXTS = [", ".join(words) for words in KEYWORDS]
_CORPUS = [prompt_text(_TEXTS, a, b, chat=False) + " " + _TEXTS[b - 1] for a in range(10) for b in range(10)]
_CORPUS += [INSTRUCTION, "user model assistant"]
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _byte_pairs(pre_tokenizer, special, alphabet=()):
    """Vocabulary and merges of a byte-pair encoding, learned from a small corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=list(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def llama_tokenizer():
    """SentencePiece kind: a word begins with a mark, rare characters are bytes, a token begins the text."""
    vocab, merges = _byte_pairs(pre_tokenizers.Metaspace(), ["<unk>", "<s>", "</s>", *_BYTES])
    return transformers.LlamaTokenizer(vocab=vocab, merges=merges, add_bos_token=True, chat_template=LLAMA_CHAT)


def gemma_tokenizer():
    """SentencePiece kind as well, but a text is not taken for the beginning of a word."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    vocab, merges = _byte_pairs(pre_tokenizers.Metaspace(prepend_scheme="never"), [*special, *_BYTES])
    tokenizer = transformers.GemmaTokenizer(vocab=vocab, merges=merges, add_bos_token=True, chat_template=GEMMA_CHAT)
    tokenizer.add_special_tokens({"additional_special_tokens": special[-2:]})
    return tokenizer


def qwen_tokenizer():
    """Byte level: every byte is a letter, nothing begins the text."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    before = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocab, merges = _byte_pairs(before, special, pre_tokenizers.ByteLevel.alphabet())
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocab, merges=merges, eos_token="<|im_end|>", chat_template=QWEN_CHAT)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    return tokenizer


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # large enough that attention decides something
}

FAMILIES = {  # the classes of configuration and model, what makes a tokenizer, and what it has of its own
    "llama": ("LlamaConfig", "LlamaForCausalLM", llama_tokenizer, {}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", qwen_tokenizer, {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", qwen_tokenizer, {"head_dim": 16}),
    "gemma3": (
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        gemma_tokenizer,
        {
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 128,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
}


def make_family(name, folder, **changes):
    """Write a model of a family and its tokenizer into a folder; ``changes`` go into its configuration."""
    config_class, model_class, make_tokenizer, own = FAMILIES[name]
    tokenizer = make_tokenizer()
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = getattr(transformers, config_class)(
        **{**SMALL, **own, **ends, "pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer), **changes}
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        getattr(transformers, model_class)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
