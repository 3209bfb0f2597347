"""A connection to a Ray cluster: one that somebody started, or a new one on this machine.

``ray.init`` tries an address without a server for minutes, and a wrong token twenty times, with a line on stderr
each time. So a cluster that was named is asked first, by Ray's own ``ray status``, in a process that can be given up.
"""

import logging
import os
import socket
import subprocess
import sys
from typing import Any

from sim.errors import InvalidInput

_TOKEN = (
    "is a Ray cluster that asks for its token, which is missing here or another: set RAY_AUTH_MODE=token, and have the"
    " cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN (docs/sweeps.md)"
)
_PORT_ANSWERS = 5.0  # seconds
_CLUSTER_ANSWERS = 60.0  # seconds; ``ray status`` takes 3 s of processor time, and 30 s where seven share a core
_LOCALHOST = ("localhost", "127.0.0.1", "::1")


def connect_ray(address: str | None = None, num_cpus: int | None = None) -> Any:
    """Ray, connected to a cluster; returns the module.

    Args:
        address: of a cluster that runs, ``local`` for a new one on this machine, ``auto`` for that of ``RAY_ADDRESS``,
            else one that runs here, or None: as ``auto``, and a new one if there is none.
        num_cpus: cores of a new one.

    Raises:
        InvalidInput: there is no cluster at the address, or it is not open to this process.
    """
    import ray

    if ray.is_initialized():
        return ray
    own = address not in (None, "auto")
    field = "hydra.launcher.address" if own else "RAY_ADDRESS"
    named = address if own else os.environ.get("RAY_ADDRESS") or address
    if named not in (None, "auto", "local"):
        _check_cluster(ray, field, str(named))
    try:
        ray.init(address, num_cpus=num_cpus, include_dashboard=False, logging_level=logging.WARNING)
    except ConnectionError as error:  # of a cluster that Ray has detected by itself
        cause = f"{error.__cause__}"
        no_cluster = "must be the address of a Ray cluster that runs: none was found"
        raise InvalidInput(field, named, _TOKEN if "AuthToken" in cause else no_cluster) from None
    return ray


def _check_cluster(ray: Any, field: str, address: str) -> None:
    """Ask whether a Ray cluster answers at an address and lets this process in."""
    host, _, port = address.rpartition(":")
    if not host or "//" in host or not port.isdecimal():
        raise InvalidInput(field, address, "must be HOST:PORT of a Ray cluster, such as 127.0.0.1:6379")
    host = host.strip("[]")
    if host in _LOCALHOST:  # as Ray itself does: nodes of a cluster must be able to reach each other
        host = ray.util.get_node_ip_address()
    try:
        socket.create_connection((host, int(port)), _PORT_ANSWERS).close()
    except (OSError, OverflowError) as error:
        reason = f"must be the address of a Ray cluster that runs: {host} port {port} does not answer ({error})"
        raise InvalidInput(field, address, reason) from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_CLUSTER_ANSWERS, check=False)
    except subprocess.TimeoutExpired:
        silent = f"must be the address of a Ray cluster that runs: none answered within {_CLUSTER_ANSWERS:.0f} s"
        raise InvalidInput(field, address, silent) from None
    if asked.returncode == 0:
        return
    said = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise InvalidInput(field, address, _TOKEN if "AuthenticationError" in said else f"cannot be used: {said}")
