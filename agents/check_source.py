"""Does an agent's source keep to the public side of the world? Reads it and runs nothing.

The wall is a folder: of ``sim``, recommenders may import what does not lie in ``sim/hidden/``. The import contract
of ``pyproject.toml`` says the same of our own, and ``agents.wall`` holds every agent to it while it runs.
"""

import ast
import pkgutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sim import __path__ as _SIM  # not the package, which would lead whoever imports this module to what is hidden

GROUP = "interestlab.agents"
"""The entry points' group by which distributions announce agents."""

HIDDEN = "hidden"
"""The package of ``sim`` that holds latent state, and all that leads to it."""

PUBLIC_SIM = tuple(sorted(module.name for module in pkgutil.iter_modules(_SIM) if module.name != HIDDEN))
"""The modules of ``sim`` that recommenders may import."""

CLOSED_PACKAGES = ("conf", "envs", "experiments")
"""Packages of ours that lead to the world, and of which recommenders may import nothing."""

MAY_IMPORT = f"is hidden from recommenders, which may import agents.* and of sim only {', '.join(PUBLIC_SIM)}"


def is_hidden(module: str) -> bool:
    """Whether recommenders must not import a module, by its dotted name."""
    package, _, rest = module.partition(".")
    if package == "sim":
        return rest.partition(".")[0] == HIDDEN
    return package in CLOSED_PACKAGES


def is_private(name: str) -> bool:
    """Whether a name of ours is not meant for others: one leading underscore."""
    return name.startswith("_") and not name.startswith("__")


def hidden_names(module: str, names: tuple[str, ...]) -> list[str]:
    """What of ``from module import names`` (``import module``, if there are none) recommenders must not have."""
    if is_hidden(module):
        return [module]
    if module == "sim" and "*" in names:
        return ["sim.*"]
    if module.partition(".")[0] != "sim":
        return []
    return [f"{module}.{name}" for name in names if is_private(name) or (module == "sim" and is_hidden(f"sim.{name}"))]


def targets(config: Any) -> Iterator[str]:
    """Every ``_target_`` of a (nested) config."""
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield config["_target_"]
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from targets(value)


def package_folder(package: str) -> Path | None:
    """A package's folder, found without importing it; None if there is no such package."""
    first, *rest = package.split(".")
    try:
        spec = find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))).joinpath(*rest)
    return folder if folder.is_dir() else None


def sources(package: str) -> dict[str, Path]:
    """Every file of a top-level package or module but compiled ones, by its name within."""
    folder = package_folder(package)
    if folder is None:
        spec = find_spec(package)
        return {f"{package}.py": Path(spec.origin)} if spec is not None and spec.has_location and spec.origin else {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return {f"{package}/{path.relative_to(folder).as_posix()}": path for path in paths}


def source_faults(files: dict[str, Path]) -> list[str]:
    """Find imports of hidden modules in an agent's own source.

    Static, so only a help: what is found at run time counts (``agents.wall``).

    Args:
        files: Python files, by the name under which messages mention them.

    Returns:
        One message a fault, with file and line.
    """
    faults = []
    for name, path in files.items():
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            faults.append(f"{name}: cannot be read as Python ({error})")
            continue
        found = sorted(set(_reached(tree)))
        faults += [f"{name}, line {line}: {reached} {MAY_IMPORT}" for line, reached in found]
    return faults


def _reached(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything hidden that a module's code names."""
    names_sim = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names_sim |= alias.name.partition(".")[0] == "sim" and alias.asname is None
                yield from ((node.lineno, hidden) for hidden in hidden_names(alias.name, ()))
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = tuple(alias.name for alias in node.names)
            yield from ((node.lineno, hidden) for hidden in hidden_names(node.module or "", names))
        elif isinstance(node, (ast.Call, ast.Subscript)):
            module = _module_by_name(node)
            if module is not None and is_hidden(module):
                yield node.lineno, module
    for node in ast.walk(tree) if names_sim else ():  # import sim.platform; sim.hidden.world
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sim":
            yield from ((node.lineno, hidden) for hidden in hidden_names("sim", (node.attr,)))


def _module_by_name(node: ast.Call | ast.Subscript) -> str | None:
    """The module that ``import_module("...")``, ``__import__("...")`` or ``sys.modules["..."]`` names."""
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = node.args[0] if called in ("import_module", "__import__") and node.args else None
    else:
        of_modules = isinstance(node.value, ast.Attribute) and node.value.attr == "modules"
        named = node.slice if of_modules else None
    return named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else None
