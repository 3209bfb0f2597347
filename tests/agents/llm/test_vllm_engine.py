"""The adapter for vLLM, against a module that has the documented interface and notes what it is sent."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import pytest

from agents.llm.engines import Cost
from agents.llm.local_engines import VllmEngine, check_vllm
from agents.llm.weights import weights_digest
from sim.errors import InvalidInput
from tests.agents.llm.families import make_family
from tests.agents.llm.reference import complete


@pytest.fixture
def folder(tmp_path):
    return make_family("qwen2", tmp_path / "weights")


@pytest.fixture
def vllm(monkeypatch):
    """``LLM(model=..., ...)``, ``generate(prompts, sampling_params, use_tqdm=)``, ``chat(messages, ...)``."""
    module = ModuleType("vllm")
    module.__spec__, module.__version__ = ModuleSpec("vllm", None), "0.32.0"
    module.sent = []

    class SamplingParams:
        def __init__(self, *, temperature=1.0, max_tokens=16):
            self.temperature, self.max_tokens = temperature, max_tokens

    class LLM:
        def __init__(self, model, *, dtype="auto", load_format="auto", enable_prefix_caching=None, seed=None):
            module.sent.append((model, dtype, load_format, enable_prefix_caching, seed))

        def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
            module.sent.append(("generate", prompts, vars(sampling_params), use_tqdm))
            return [self._output(prompt) for prompt in prompts]

        def chat(self, messages, sampling_params=None, use_tqdm=True):
            module.sent.append(("chat", messages, vars(sampling_params), use_tqdm))
            return [self._output(conversation[-1]["content"]) for conversation in messages]

        def _output(self, prompt):
            said = SimpleNamespace(text=f" after {prompt}", token_ids=[1, 2, 3])
            return SimpleNamespace(outputs=[said], prompt_token_ids=list(range(len(prompt))))

    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)
    return module


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_message_says_how_to_get_it(folder):
    for attempt in (check_vllm, lambda: VllmEngine(folder, "fp32")):
        with pytest.raises(InvalidInput, match=r"llm\.engine='vllm': needs the package vllm, .*separate\s+environment"):
            attempt()


def test_prompts_are_sent_greedily_in_one_batch(folder, vllm):
    engine = VllmEngine(folder, "bf16")
    assert complete(engine, ["tofu", "tea"], 9) == [" after tofu", " after tea"]
    assert engine.cost == Cost(prompt_tokens=7, completion_tokens=6, requests=2, retries=0)
    assert vllm.sent == [
        (str(folder), "bfloat16", "safetensors", True, 0),
        ("generate", ["tofu", "tea"], {"temperature": 0.0, "max_tokens": 9}, False),
    ]
    assert engine.description == {
        "engine": "vllm",
        "version": "0.32.0",
        "weights_digest": weights_digest(folder),
        "precision": "bfloat16",
        "chat": False,
    }


def test_chat_sends_messages(folder, vllm):
    assert complete(VllmEngine(folder, "fp32", chat=True), ["tofu"], 9) == [" after tofu"]
    name, messages, _, _ = vllm.sent[-1]
    assert (name, messages) == ("chat", [[{"role": "user", "content": "tofu"}]])
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InvalidInput, match="no chat template"):
        VllmEngine(folder, "fp32", chat=True)
