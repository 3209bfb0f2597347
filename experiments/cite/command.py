"""``interestlab cite agent=NAME``: BibTeX of the papers that an agent implements, and of interestlab."""

import argparse
import re
from importlib.resources import files

import yaml

from experiments.plugins import choices
from sim.errors import InvalidInput

OURS = "interestlab"
"""The key of the testbed itself, which every answer begins with."""


def papers() -> dict[str, list[str]]:
    """The keys of ``papers.bib`` by agent, as ``papers.yaml`` has them; none for controls of our own."""
    known: dict[str, list[str]] = yaml.safe_load(_read("papers.yaml"))
    return known


def entries() -> dict[str, str]:
    """The entries of ``papers.bib`` by key."""
    matches = re.findall(r"^(@\w+\{(\w+),.*?^\})$", _read("papers.bib"), re.MULTILINE | re.DOTALL)
    return {key: entry for entry, key in matches}


def citation(agent: str) -> str:
    """BibTeX of interestlab and of an agent's papers.

    Raises:
        InvalidInput: there is no such agent, or it comes from a package of its own, whose papers are not known here.
    """
    if agent not in choices("agent"):
        raise InvalidInput("agent", agent, f"unknown agent; known are {', '.join(papers())}")
    if agent not in papers():
        raise InvalidInput("agent", agent, "is not in experiments/cite/papers.yaml; a package of its own says itself")
    known = entries()
    return "\n\n".join(known[key] for key in (OURS, *papers()[agent]))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser("interestlab cite", description=__doc__)
    parser.add_argument("agent", metavar="agent=NAME", help=f"one of {', '.join(papers())}")
    name = parser.parse_args().agent
    print(citation(name.removeprefix("agent=")))


def _read(name: str) -> str:
    return files("experiments.cite").joinpath(name).read_text(encoding="utf-8")
