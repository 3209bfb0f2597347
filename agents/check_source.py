"""Does an agent's source keep to the public side of the world? Reads it and runs nothing.

The wall is a folder: of ``sim``, recommenders may import what does not lie in ``sim/hidden/``. The import contract
of ``pyproject.toml`` says the same of our own, and ``agents.wall`` holds every agent to it while it runs.
"""

import ast
import pkgutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sim import __path__ as _SIM  # not the package, which would lead whoever imports this module to what is hidden
from sim.errors import InvalidInput

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
    """A package's (first) folder, found without importing it; None if there is no such package."""
    return next(iter(package_folders(package)), None)


def package_folders(package: str) -> list[Path]:
    """A package's folders, found without importing it; a namespace package may have several, in the path's order."""
    first, *rest = package.split(".")
    try:
        spec = find_spec(first)
    except (ImportError, ValueError):
        return []
    places = spec.submodule_search_locations if spec is not None else None
    folders = [Path(place).joinpath(*rest) for place in places or ()]
    return [folder for folder in folders if folder.is_dir()]


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file in a folder and its subfolders, in alphabetical order; links to files and folders are followed.

    Args:
        folder: where to look.
        above: the real paths of the folders on the way here. A link to one of them, or to a folder that holds one, is
            left out, since following it would not end. Another link to a folder met elsewhere is followed: its files
            have another name there.

    Raises:
        OSError: a folder cannot be read.
    """
    above = (*above, folder.resolve())
    for each in sorted(folder.iterdir()):
        if each.is_file():
            yield each
        elif each.is_dir() and not any(outer.is_relative_to(each.resolve()) for outer in above):
            yield from files_below(each, above)


def sources(package: str) -> dict[str, Path]:
    """Every file of a top-level package but compiled ones, by its name within.

    Of a top-level module: its file, and the modules in the same folder that it imports, directly or not.

    Raises:
        InvalidInput: a folder of the package cannot be read.
    """
    folders = package_folders(package)
    if not folders:
        spec = find_spec(package)
        return _with_neighbours(package, Path(spec.origin)) if spec and spec.has_location and spec.origin else {}
    files = dict[str, Path]()
    for folder in folders:
        try:
            inner = {path.relative_to(folder): path for path in files_below(folder)}
        except OSError as error:
            raise InvalidInput("package", package, f"must be readable ({error})") from None
        kept = {f"{package}/{name.as_posix()}": path for name, path in inner.items() if "__pycache__" not in name.parts}
        files = kept | files  # of two files of one name Python imports the first
    return files


def _with_neighbours(module: str, path: Path) -> dict[str, Path]:
    files, waiting = dict[str, Path](), {module: path}
    while waiting:
        name, each = waiting.popitem()
        files[f"{name}.py"] = each
        tops = {imported.partition(".")[0] for imported in imports(each)} - sys.stdlib_module_names
        neighbours = {top: path.with_name(f"{top}.py") for top in tops if f"{top}.py" not in files}
        waiting |= {top: neighbour for top, neighbour in neighbours.items() if neighbour.is_file()}
    return dict(sorted(files.items()))


def imports(path: Path) -> set[str]:
    """Every module, and every name of one, that a file imports; none if it is no Python, since it cannot be imported.

    Relative imports do not count.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return set()
    imported = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return imported


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
