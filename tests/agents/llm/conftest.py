import json

import numpy as np
import pytest
import torch

from agents.llm.settings import LLMSettings
from agents.llm.weights import BUNDLED_MODEL, prepare_weights
from agents.transitions import Transitions
from sim.clusters import InterestClusters
from tests.agents.llm.endpoint_server import ScriptedServer

KEYWORDS = (
    ("espresso", "latte art", "coffee grinder", "milk steaming"),
    ("espresso", "latte art", "coffee grinder", "cafe at home"),  # a twin: told apart by the fourth
    ("sourdough starter", "bread scoring", "crusty loaf"),
    ("trail running", "marathon training", "running shoes"),
    ("trail maps", "hiking boots", "backpacking"),  # shares its first token with the one above
    ("vegan recipes", "tofu", "lentil curry"),
    ("houseplants", "monstera", "plant propagation"),
    ("mechanical keyboards", "switches", "desk setup"),
    ("watercolor", "sketchbook", "urban sketching"),
    ("kittens", "cat toys", "rescue cats"),
)


def clusters_of(keywords):
    num = len(keywords)
    path = np.stack([np.arange(num) // 4, np.arange(num), np.arange(num), np.arange(num)], axis=1)
    return InterestClusters(path, np.eye(num, 256), tuple(keywords))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def clusters():
    return clusters_of(KEYWORDS)


@pytest.fixture(scope="session")
def weights(weights_cache):
    """The real weights."""
    return prepare_weights(BUNDLED_MODEL, weights_cache)


@pytest.fixture(scope="session")
def small_weights(weights, tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("weights") / "small", weights)


VOCABULARY = 4096
"""Tokens of small models: the first of the real ones, which are read in a tenth of the time."""


def write_short_tokenizer(folder, weights):
    """The real tokenizer with its first tokens and merges alone; what it splits, it splits into more tokens."""
    from agents.llm.model import load_tokenizer

    load_tokenizer(weights).save_pretrained(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    model = content["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < VOCABULARY}
    model["merges"] = [pair for pair in model["merges"] if {*pair, "".join(pair)} <= model["vocab"].keys()]
    path.write_text(json.dumps(content), encoding="utf-8")
    return load_tokenizer(folder)


def write_small_model(folder, weights):
    """A one-layer model with random weights and the beginning of the real tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = write_short_tokenizer(folder, weights)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_settings():
    def make(**changes):
        base = {
            "model": BUNDLED_MODEL,
            "random_weights": False,
            "threads": 1,
            "precision": "fp32",
            "num_keywords": 3,
            "curation": "diversified",
            "pairs_per_label": 10,
            "held_out_share": 0.2,
            "held_out_days": 0,
            "method": "full",
            "freeze_embeddings": True,
            "lora_rank": 4,
            "steps": 4,
            "batch_size": 4,
            "micro_batch_size": 4,
            "learning_rate": 3e-4,
            "warmup_steps": 1,
            "eval_every": 2,
            "eval_pairs": 4,
            "checkpoint_every": 1,
            "pmi_coefficient": 1.0,
            "encoder_weight": 0.0,
            "top_n": 4,
            "pairs_per_shard": 30,
            "past_clusters": 2,
            "triple_min_users": 1,
            "successor_hint": False,
            "engine": "transformers",
            "ask": "pairs",
            "record": "",
            "chat": False,
            "url": "",
            "key_variable": "",
            "timeout": 60.0,
            "retries": 6,
            "requests_per_minute": 0,
            "requests_in_flight": 8,
        }
        return LLMSettings(**{**base, **changes})

    return make


@pytest.fixture(scope="session")
def transitions():
    """Sixty transitions among ten clusters, label never in the pair."""
    rows = np.stack([np.random.default_rng(i).permutation(10)[:3] for i in range(60)])
    zeros = np.zeros(60, int)
    return Transitions(rows[:, 0], rows[:, 1], rows[:, 2], zeros, zeros)


@pytest.fixture
def serve():
    """Starts scripted endpoints, and stops them."""
    servers = []

    def start(*script):
        servers.append(ScriptedServer(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
