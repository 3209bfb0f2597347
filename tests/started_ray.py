"""A Ray cluster of two cores as a user starts one, for tests to connect to (docs/sweeps.md)."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

START = (
    "start", "--head", "--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--include-dashboard", "false",
    "--port", "0", "--min-worker-port", "0", "--max-worker-port", "0",  # free ones, as several tests may start clusters
    "--object-store-memory", "200000000", "--disable-usage-stats",
)  # fmt: skip


@contextlib.contextmanager
def started_ray(cache: Path) -> Iterator[dict[str, str]]:
    """Start a cluster with a home and a token of its own, and end its processes afterwards.

    Args:
        cache: of the simulator's machine code, for the cluster's workers.

    Yields:
        The environment in which a command connects to it.
    """
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as name:
        home = Path(name)  # not pytest's own, whose paths are too long for Ray's sockets
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text(secrets.token_hex(32))
        own = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        own |= {"HOME": name, "RAY_AUTH_MODE": "token", "INTERESTLAB_CACHE": str(cache)}
        command = [sys.executable, "-m", "ray.scripts.scripts", *START, "--temp-dir", name]
        with (home / "said").open("w") as said:
            head = subprocess.Popen(command, env=own, stdout=said, stderr=said, start_new_session=True)
        try:
            assert head.wait(timeout=180) == 0, (home / "said").read_text()
            port = (home / "ray_current_cluster").read_text().rpartition(":")[2]
            yield {**own, "RAY_ADDRESS": f"127.0.0.1:{port.strip()}"}
        finally:
            _kill_session(head.pid)


def _kill_session(session: int) -> None:
    for process in [int(each) for each in os.listdir("/proc") if each.isdecimal()]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process) == session:
                os.kill(process, signal.SIGKILL)
