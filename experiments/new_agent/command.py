"""``interestlab new-agent``: a package with an agent of one's own, which works and waits to be changed."""

import re
import sys
import tempfile
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from experiments.plugins import RESERVED, built_in
from sim.errors import InvalidInput

USAGE = """interestlab new-agent: a package with an agent of your own, which works and waits to be changed.

usage: interestlab new-agent NAME [folder=PATH]

  NAME           of the agent and of its package: lower-case letters, digits, underscores
  folder=PATH    where the package is put (./NAME); must not exist yet

Then: pip install -e PATH; interestlab check-agent agent=NAME. See docs/write-an-agent.md."""

LAYOUT = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "init.py.j2": "src/{name}/__init__.py",
    "agent.py.j2": "src/{name}/agent.py",
    "agent.yaml.j2": "src/{name}/conf/agent/{name}.yaml",
    "test_agent.py.j2": "tests/test_agent.py",
}
"""The templates in ``experiments/new_agent/templates``, and the files that they become."""


def new_agent(name: str, folder: Path) -> None:
    """Write a package with a working agent, called like it, whole or not at all.

    Raises:
        InvalidInput: the name cannot be an agent's or a package's, or the folder is there already or cannot be made.
    """
    check_name(name)
    if folder.exists():
        raise InvalidInput("folder", str(folder), "exists already; name another with folder=PATH")
    loader = PackageLoader("experiments.new_agent")
    templates = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    words = {"name": name, "cls": class_name(name)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            whole = Path(temporary) / folder.name
            for template, place in LAYOUT.items():
                path = whole / place.format(name=name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(templates.get_template(template).render(words), encoding="utf-8")
            whole.rename(folder)
    except OSError as error:
        raise InvalidInput("folder", str(folder), f"cannot be made ({error.strerror})") from None


def check_name(name: str) -> None:
    """Raise InvalidInput unless a new agent, and its package, can be called ``name``."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name) or "__" in name or iskeyword(name):
        raise InvalidInput("name", name, "must be a Python name of lower-case letters, digits and _, such as my_agent")
    if name in (*built_in("agent"), *RESERVED):
        raise InvalidInput("name", name, "interestlab has an agent or arm of this name; choose another")
    found = find_spec(name)
    if found is not None and found.origin is not None:  # a mere folder of this name is no module
        raise InvalidInput("name", name, "there is a Python module of this name; choose another")


def class_name(name: str) -> str:
    """``my_agent`` -> ``MyAgent``, ``shelf`` -> ``ShelfAgent``."""
    words = [word.capitalize() for word in name.split("_")]
    return "".join(words if words[-1] == "Agent" and len(words) > 1 else [*words, "Agent"])


def main() -> None:
    """Read the arguments and write the package."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return
    name, *options = arguments
    folder = Path(name)
    for option in options:
        key, is_given, value = option.partition("=")
        if key != "folder" or not is_given or not value:
            raise InvalidInput("argument", option, "must be folder=PATH; see interestlab new-agent --help")
        folder = Path(value).expanduser()
    new_agent(name, folder)
    print(f"new agent: {folder.resolve()}\n\nnext: pip install -e {folder}\n      interestlab check-agent agent={name}")
