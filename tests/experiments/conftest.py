"""What tests of commands share."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model(weights_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer model with random weights and a short tokenizer, for where the real one is not the point."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    from agents.llm.weights import BUNDLED_MODEL, prepare_weights
    from tests.agents.llm.conftest import VOCABULARY, write_short_tokenizer

    real = prepare_weights(BUNDLED_MODEL, weights_cache)
    config = AutoConfig.from_pretrained(real)
    config.update({"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "head_dim": 16})
    config.update({"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.2})
    config.vocab_size = VOCABULARY
    folder = tmp_path_factory.mktemp("weights") / "small"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    write_short_tokenizer(folder, real)
    return folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where a test installs what it needs; as if it had always been on Python's path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
