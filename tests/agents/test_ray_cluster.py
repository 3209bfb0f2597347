"""A Ray cluster that cannot be used is one line that says why, soon."""

import socket
import subprocess
import time
from importlib.util import find_spec

import pytest

from agents.ray_cluster import connect_ray
from sim.errors import InvalidInput

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")  # not imported where tests are collected


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch):
    def started(*args, **kwargs):
        raise AssertionError("Ray was asked to connect")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", started)


def refused(address=None):
    with pytest.raises(InvalidInput) as error:
        connect_ray(address)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def port():
    """One where somebody listens, who says nothing."""
    with socket.create_server(("", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_dead_address_is_reported_at_once(monkeypatch, port):
    with socket.create_server(("", 0)) as closed:
        dead = closed.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{dead}")
    started = time.monotonic()
    assert f"RAY_ADDRESS='127.0.0.1:{dead}': must be the address of a Ray cluster that runs" in refused()
    assert f"port {dead} does not answer" in refused("auto")
    assert "hydra.launcher.address='127.0.0.1:99999': must be the address" in refused("127.0.0.1:99999")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("address", ["head", "head:six", ":6379", "ray://127.0.0.1:10001"])
def test_an_invalid_address_is_refused(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert refused() == f"RAY_ADDRESS={address!r}: must be HOST:PORT of a Ray cluster, such as 127.0.0.1:6379"


def test_a_server_that_is_no_cluster_is_given_up(monkeypatch, port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setattr("agents.ray_cluster._CLUSTER_ANSWERS", 1.0)
    assert refused().endswith("must be the address of a Ray cluster that runs: none answered within 1 s")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken", "set RAY_AUTH_MODE=token, and have"),
        ("RuntimeError: Ray version mismatch: cluster has 1.0", "cannot be used: RuntimeError: Ray version mismatch"),
        ("", "cannot be used: no reason given"),
    ],
)
def test_the_clusters_error_is_reported(monkeypatch, port, said, expected):
    def status(command, **kwargs):
        return subprocess.CompletedProcess(command, 1, "", f"Traceback\n  File\n{said}\n" if said else "")

    monkeypatch.setattr(subprocess, "run", status)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    assert expected in refused()


@pytest.mark.parametrize(
    ("cause", "expected"),
    [("AuthenticationError: RPC error: InvalidAuthToken", "asks for its token"), ("timed out", "none was found")],
)
def test_a_cluster_that_ray_found_itself(monkeypatch, cause, expected):
    def init(address, **kwargs):
        raise ConnectionError("Failed to connect") from RuntimeError(cause)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    assert expected in refused("auto")
