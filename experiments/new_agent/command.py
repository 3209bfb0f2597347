"""``interestlab new-agent``: a package with an agent or a planner of one's own, which works and waits to be changed."""

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

usage: interestlab new-agent NAME [planner=true] [folder=PATH]

  NAME           of the agent and of its package: lower-case letters, digits, underscores
  planner=true   a planner, which chooses clusters; one of interestlab's rankers picks the items (false: a whole agent)
  folder=PATH    where the package is put (./NAME); must not exist yet

Then: pip install -e PATH; pytest PATH; interestlab check-agent agent=NAME. See docs/write-an-agent.md."""

_SHARED = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "init.py.j2": "src/{name}/__init__.py",
}
LAYOUT = {
    kind: {
        **_SHARED,
        f"{kind}.py.j2": f"src/{{name}}/{kind}.py",
        f"{kind}.yaml.j2": "src/{name}/conf/agent/{name}.yaml",
        f"test_{kind}.py.j2": f"tests/test_{kind}.py",
    }
    for kind in ("agent", "planner")
}
"""The templates in ``experiments/new_agent/templates``, and the files that they become, of an agent and a planner."""


def new_agent(name: str, folder: Path, kind: str = "agent") -> None:
    """Write a package with a working agent or planner, called like it, whole or not at all.

    Args:
        name: of the agent and its package.
        folder: where the package is put.
        kind: ``agent`` or ``planner``.

    Raises:
        InvalidInput: the name cannot be an agent's or a package's, or the folder is there already or cannot be made.
    """
    check_name(name)
    if folder.exists():
        raise InvalidInput("folder", str(folder), "exists already; name another with folder=PATH")
    loader = PackageLoader("experiments.new_agent")
    templates = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    words = {"name": name, "cls": class_name(name, kind), "kind": kind}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            whole = Path(temporary) / folder.name
            for template, place in LAYOUT[kind].items():
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


def class_name(name: str, kind: str = "agent") -> str:
    """``my_agent`` -> ``MyAgent``, ``shelf`` -> ``ShelfAgent``; of a planner ``ShelfPlanner``."""
    words = [word.capitalize() for word in name.split("_")]
    return "".join(words if words[-1] == kind.capitalize() and len(words) > 1 else [*words, kind.capitalize()])


def main() -> None:
    """Read the arguments and write the package."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return
    name, *options = arguments
    folder, kind = Path(name), "agent"
    for option in options:
        key, _, value = option.partition("=")
        if key == "folder" and value:
            folder = Path(value).expanduser()
        elif key == "planner" and value in ("true", "false"):
            kind = "planner" if value == "true" else "agent"
        else:
            expected = "must be folder=PATH, planner=true or planner=false; see interestlab new-agent --help"
            raise InvalidInput("argument", option, expected)
    new_agent(name, folder, kind)
    print(
        f"new {kind}: {folder.resolve()}\n\nnext: pip install -e {folder}\n      pytest {folder}\n"
        f"      interestlab check-agent agent={name}"
    )
    if kind == "planner":
        arms = f"experiment.arms=[control,random_novel,{name}] experiment.reference=random_novel"
        print(f"      interestlab compare world=tiny {arms}")
