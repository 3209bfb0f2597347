"""Names of the backends that run jobs side by side; a module of its own, so that checking a config imports none."""

from importlib.util import find_spec
from typing import Any

from sim.errors import InvalidInput

BACKENDS = ("loky", "ray")
"""Where jobs run that run side by side."""


def check_backend(backend: Any) -> str:
    """``runtime.backend``, checked.

    Raises:
        InvalidInput: it is unknown, or Ray is not installed.
    """
    if backend not in BACKENDS:
        raise InvalidInput("runtime.backend", backend, f"must be one of {', '.join(BACKENDS)}")
    if backend == "ray" and find_spec("ray") is None:
        raise InvalidInput("runtime.backend", backend, "is not installed: pip install 'interestlab[ray]'")
    return str(backend)
