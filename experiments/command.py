"""What the commands have in common: one clear line for a user's mistake, no traceback."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from experiments.plugins import choices, with_plugins
from sim.errors import InvalidInput

GROUPS = ("world", "llm", "experiment", "agent", "ranker", "search", "sweep", "tracker")

LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "sweeps"),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "sweeps"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "sweeps"),
    "ray": ("ray", "ray"),
}
"""What a launcher of sweeps rests on, and which extra brings it (docs/sweeps.md)."""


def check_choices(arguments: Sequence[str]) -> None:
    """Check ``GROUP=CHOICE`` overrides before Hydra does, whose message takes a page.

    Raises:
        InvalidInput: a group has no such choice, or a launcher is not installed.
    """
    for argument in arguments:
        package, extra = LAUNCHERS.get(argument.removeprefix("hydra/launcher="), ("hydra", ""))
        if find_spec(package) is None:
            launcher = argument.partition("=")[2]
            raise InvalidInput("hydra/launcher", launcher, f"is not installed: pip install 'interestlab[{extra}]'")
    if any(a.startswith(("hydra.searchpath", "--config-dir", "-cd")) for a in arguments):
        return  # the user's own folders may bring choices of their own
    for argument in arguments:
        key, _, value = argument.partition("=")
        group = key.lstrip("+").split("@")[0]
        if group not in GROUPS or not value:
            continue
        known = choices(group)
        for choice in value.split(","):
            if choice not in known:
                raise InvalidInput(group, choice, f"unknown {group}; known are {', '.join(known)}")


@contextmanager
def clear_errors(command: str) -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit status 2.

    Belongs inside the function that Hydra calls: of what gets out of it, Hydra prints its own
    account over several lines, but lets ``SystemExit`` pass.
    """
    try:
        yield
    except InvalidInput as error:
        print(f"interestlab {command}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"interestlab {command}: interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


def run_command(command: str, task: Callable[[], Any]) -> None:
    """Run a command's Hydra task after a look at its arguments; installed agents join in."""
    with clear_errors(command):
        arguments = with_plugins(command, sys.argv[1:])
        check_choices(arguments)
        sys.argv[1:] = arguments
        task()
