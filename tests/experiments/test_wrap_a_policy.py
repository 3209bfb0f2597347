"""docs/wrap-a-policy.md, done as it says: a policy of stable-baselines3, and a service over HTTP."""

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents.wall import Walled
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, planted, successor
from tests.command_line import interestlab
from tests.conftest import cache_with_weights
from tests.experiments.walk_through import DOCS, SMALLER, WalkThrough

SECTIONS = ("A policy of stable-baselines3", "A service over HTTP")


@pytest.mark.slow
def test_a_policy_of_stable_baselines3_becomes_an_arm(tmp_path, weights_cache):
    pytest.importorskip("stable_baselines3")
    cache = cache_with_weights(tmp_path / "cache", weights_cache)
    reader = WalkThrough(tmp_path, cache, {"train_policy.py 2048": "train_policy.py 512", **SMALLER})
    reader.do("wrap-a-policy.md", SECTIONS[0])
    _, checked, _ = reader.outputs
    assert "planned: 11 checks ok, 0 faults, 0 skipped" in reader.outputs[checked]
    (results,) = tmp_path.glob("outputs/compare/*/results.json")
    assert list(json.loads(results.read_text())["arms"]) == ["control", "random", "planned"]
    # What is served is what was trained.
    same = """
import runpy, sys
import numpy as np
import torch
from planned import PolicyAgent
sys.argv = ["train_policy.py", "512"]
trained = runpy.run_path("train_policy.py")
agent = PolicyAgent("policy.safetensors", "clusters.safetensors")
count = np.arange(24, dtype=np.float32)
agent.state = {"shown": count[None] * 2, "positive": count[None], "consumed": count[::-1][None] / 3}
shown, positive, recent = count * 2, count, count[::-1] / 3
seen = {"positive_share": (positive + 1) / (shown + 4), "recently_consumed": recent / (recent + 5),
        "shown": shown / (shown + 10)}
policy = trained["model"].policy
theirs = policy.get_distribution(policy.obs_to_tensor(seen)[0]).distribution.probs[0].detach().numpy()
ours = agent.plan(np.array([0]))[0]
assert np.allclose(ours, theirs, atol=1e-6), (ours, theirs)
assert ours.max() - ours.min() > 1e-4
"""
    done = subprocess.run([sys.executable, "-c", same], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.mark.slow
def test_a_service_over_http_keeps_the_contract(tmp_path, weights_cache):
    reader = WalkThrough(tmp_path, cache_with_weights(tmp_path / "cache", weights_cache), {"8765": str(free_port())})
    reader.do("wrap-a-policy.md", SECTIONS[1])
    (output,) = reader.outputs.values()
    assert "over_http: 10 checks ok, 0 faults, 1 skipped" in output
    assert "recommend returns no propensities" in output
    words = [f"hydra.searchpath=[file://{tmp_path / 'settings'}]", "world=tiny", "+agent@agents.over_http=over_http"]
    words += ["experiment.arms=[control,over_http]", "experiment.reference=over_http", "experiment.burn_in_days=1"]
    words += ["experiment.days=1", "world.num_users=30", "runtime.workers=1"]
    done = interestlab("compare", *words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == 2
    said = "interestlab compare: agent over_http: url='http://localhost:"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("interestlab")]
    assert line.startswith(said)
    assert line.endswith("must lead to a service that answers (<urlopen error [Errno 111] Connection refused>)")
    assert said in (DOCS / "wrap-a-policy.md").read_text()


@pytest.fixture
def over_http(tmp_path, monkeypatch):
    """The document's module."""
    text = (DOCS / "wrap-a-policy.md").read_text(encoding="utf-8")
    (tmp_path / "over_http.py").write_text(text.split("# over_http.py\n")[1].split("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("over_http")
    sys.modules.pop("over_http")


@pytest.fixture
def serve():
    """Starts services that answer by a function of the request's body."""
    servers = []

    def started(answer):
        class Service(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, content = answer(body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("localhost", 0), Service)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://localhost:{server.server_port}"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


def ranked(lists):
    return 200, json.dumps({"items": lists}).encode()


def test_answers_become_slates_without_what_must_not_be_shown(over_http, serve):
    world = planted(successor(), num_users=3)
    requests = world.requests(4)
    seen = requests.exclude[:, -1].tolist()  # of each user
    lists = [[50, seen[0], 51, 50, 3, 10**9, 52, 53, 54], [], [60]]  # 3 has expired
    agent = over_http.HttpAgent(serve(lambda body: ranked(lists)))
    agent.fit(world.platform, world.log, STREAM)
    items = agent.recommend(requests, STREAM).items
    newest = [[item for item in range(239, 200, -1) if item not in requests.exclude[user]] for user in range(3)]
    assert items[0].tolist() == [item for item in [50, 51, 52, 53, 54] if item not in requests.exclude[0]][:4]
    assert items[1].tolist() == newest[1][:4]
    assert items[2].tolist() == [60, *newest[2][:3]]


def test_the_service_hears_of_histories_only(over_http, serve):
    heard = []

    def answer(body):
        heard.append(body)
        return ranked([[] for _ in body["users"]])

    world = planted(successor(), num_users=3)
    agent = over_http.HttpAgent(serve(answer), num_items=7)
    agent.fit(world.platform, world.log, STREAM)
    agent.recommend(world.requests(4), STREAM)
    (body,) = heard
    assert (body["day"], body["num_items"], len(body["users"])) == (6, 7, 3)
    assert body["users"][2]["items"] == world.requests().items[2][world.requests().items[2] >= 0].tolist()
    assert all(type(positive) is bool for positive in body["users"][2]["positive"])


def slow(body):
    time.sleep(1)
    return ranked([])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (slow, "must answer within 0.3 s"),
        (lambda body: (500, b""), "must lead to a service that answers (HTTP Error 500"),
        (lambda body: (200, b"<html>"), 'must answer {"items": [[...], ...]}'),
        (lambda body: (200, b'{"slates": []}'), 'must answer {"items": [[...], ...]}'),
        (lambda body: ranked([[1]]), "(1 lists for 3 users)"),
        (lambda body: ranked([["a"], ["b"], ["c"]]), 'must answer {"items": [[...], ...]}'),
    ],
)
def test_a_service_that_fails_gets_one_clear_line(over_http, serve, answer, says):
    world = planted(successor(), num_users=3)
    agent = Walled(over_http.HttpAgent(serve(answer), timeout=0.3), "mine")
    agent.fit(world.platform, world.log, STREAM)
    with pytest.raises(InvalidInput) as error:
        agent.recommend(world.requests(4), STREAM)
    assert str(error.value).startswith("agent mine: url='http://localhost:")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
