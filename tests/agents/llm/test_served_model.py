"""A real server on loopback, ``transformers serve``, with a tiny model."""

import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec

import numpy as np
import pytest

from agents.llm.curation import curate
from agents.llm.finetune import finetune
from agents.llm.generated_table import generate_table
from agents.llm.http_engine import HttpEngine
from agents.llm.local_engines import TransformersEngine
from agents.llm.model import load_tokenizer
from agents.llm.prompt import cluster_texts, prompt_text
from agents.transitions import Transitions
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.agents.llm.conftest import clusters_of
from tests.agents.llm.families import make_family
from tests.agents.llm.reference import complete

NEEDED = ("fastapi", "uvicorn", "openai")  # not imported here, where each worker of pytest-xdist would
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="needs the extra serve"),
]

SERVE = "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; main()"
RNG = RandomStream(6, "served")
STARTS_WITHIN = 60  # seconds


@pytest.fixture(scope="module")
def four():
    return clusters_of([("tofu",), ("espresso",), ("trail maps",), ("kittens",)])


@pytest.fixture(scope="module")
def folder(four, make_settings, tmp_path_factory):
    """Llama, of which every text begins with a token, fine-tuned until it names interests."""
    first, second = np.array([(a, b) for a in range(4) for b in range(4) if (a + 1) % 4 != b]).T
    zeros = np.zeros(len(first), int)
    samples = curate(Transitions(first, second, (first + 1) % 4, zeros, zeros), 4, 10, "diversified", RNG)
    nothing = Transitions(*(zeros[:0],) * 5)
    settings = make_settings(steps=60, batch_size=12, learning_rate=0.01, eval_every=60, checkpoint_every=99)
    folder = tmp_path_factory.mktemp("served")
    return finetune(make_family("llama", folder / "llama"), four, samples, nothing, settings, folder / "run", RNG)


@pytest.fixture(scope="module")
def url(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*command, "--dtype", "float32", "--device", "cpu"], stderr=subprocess.PIPE) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()


def wait_for(address, server):
    start = time.monotonic()
    while time.monotonic() - start < STARTS_WITHIN:
        assert server.poll() is None, server.stderr.read().decode()[-2000:]
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server does not start")


def engine_for(url, folder, chat=False, model=None):
    return HttpEngine(url, model or str(folder), chat, "", 30.0, 1, 0, 4)


@pytest.mark.parametrize("chat", [False, True])
def test_the_server_says_what_the_model_says_here(url, folder, clusters, chat):
    texts = cluster_texts(clusters, 3)
    prompts = [prompt_text(texts, a, b, chat) for a, b in [(0, 1), (5, 5), (8, 7), (2, 9), (4, 6)]]
    served, here = engine_for(url, folder, chat), TransformersEngine(folder, "fp32", chat)
    said = complete(served, prompts, 10)
    special = load_tokenizer(folder).all_special_tokens  # which the server leaves in what a chat says
    assert [without(special, text) for text in said] == complete(here, prompts, 10)
    assert len(set(said)) > 1
    assert served.cost.prompt_tokens == here.cost.prompt_tokens
    assert served.cost.completion_tokens == here.cost.completion_tokens


def without(words, text):
    for word in words:
        text = text.replace(word, "")
    return text


def test_a_table_from_the_server(url, folder, four, tmp_path):
    table = generate_table(engine_for(url, folder), four, 1, tmp_path / "served")
    here = generate_table(TransformersEngine(folder, "fp32"), four, 1, tmp_path / "here")
    assert table.manifest["answers"]["strict_match_rate"] > 0.5
    assert (table.clusters == here.clusters).all()
    assert table.manifest["answers"] == here.manifest["answers"]
    assert table.manifest["cost"] == here.manifest["cost"]


def test_the_servers_own_words_on_what_it_does_not_have(url, folder):
    with pytest.raises(InvalidInput, match=r"answered 400 .*Server is pinned to"):
        complete(engine_for(url, folder, model="another"), ["tofu"], 5)
