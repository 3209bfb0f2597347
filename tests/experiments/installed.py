"""Distributions that bring agents, as pip leaves them, in a folder of a test's own."""

import os
from pathlib import Path
from subprocess import CompletedProcess

from tests import command_line

AGENT = """
from agents.random import RandomAgent


class Mine(RandomAgent):
    def __init__(self, start=0):
        if start < 0:
            raise ValueError("start must not be negative")
        self.start = start

    def recommend(self, requests, rng):
        return super().recommend(requests, rng.at(self.start))
"""


def install(site: Path, name: str, *, package: str | None = None, code: str = AGENT, config: str | None = None) -> Path:
    """Put a package with one agent, and what pip writes about it, into ``site``; the package's folder."""
    package = package or name
    folder = site / package
    (folder / "conf" / "agent").mkdir(parents=True)
    (folder / "__init__.py").write_text(code)
    if config is None:
        config = f"_target_: {package}.Mine\n_partial_: true\nstart: 0\n"
    if config:
        (folder / "conf" / "agent" / f"{name}.yaml").write_text(config)
    facts = site / f"{package}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[interestlab.agents]\n{name} = {package}\n")
    return folder


def interestlab(*arguments: str, site: Path, cwd: Path, cache: Path | None = None) -> CompletedProcess[str]:
    """Run a command in a process that finds what is installed in ``site``."""
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}
    if cache is not None:
        environment["INTERESTLAB_CACHE"] = str(cache)
    return command_line.interestlab(*arguments, cwd=cwd, env=environment)
