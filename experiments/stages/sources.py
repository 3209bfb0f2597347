"""Which of our own source files a stage runs, from the imports, and a digest of them.

A stage rests on the module that its ``make`` stands in, on the classes that its config names as ``_target_``, and
on whatever these import, directly or not; of a class from a package of somebody else's, on what that package imports
of ours. Nobody lists files by hand: a module that a stage comes to import is part of its digest from then on.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp

from agents.check_source import imports, package_folder, sources, targets
from experiments.plugins import OURS
from sim.errors import InvalidInput


@cache
def _imports() -> grimp.ImportGraph:
    """Who imports whom among our own modules, read from the source; nothing is imported for it."""
    try:
        return grimp.build_graph(*OURS, cache_dir=None, exclude_type_checking_imports=True)
    except grimp.exceptions.SourceSyntaxError as error:
        raise InvalidInput(
            "source", error.filename, f"must be Python (line {error.lineno}): every import counts"
        ) from None


@cache
def reached(module: str) -> frozenset[str]:
    """The module, all of ours that it imports, directly or not, and the packages that these lie in.

    Imports within functions count; those for type checkers alone do not.

    Raises:
        ModuleNotFoundError: it is none of ours. A stage that rested on nothing would never be made anew.
    """
    graph = _imports()
    if module not in graph.modules:
        raise ModuleNotFoundError(f"no module of ours is named {module}")
    modules: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        modules.add(name)
        waiting |= {*graph.find_modules_directly_imported_by(name), *_packages_of(name)} - modules
    return frozenset(modules)


def code_of(module: str, config: Any) -> list[str]:
    """Our modules that a stage can reach from the one that its ``make`` stands in, in alphabetical order.

    The source of its config's classes of others is ``plugins.outside_digests``' business; what that source imports of
    ours is not.

    Raises:
        InvalidInput: one of our files cannot be read as Python.
    """
    named = {target.rpartition(".")[0] for target in targets(config) if target.partition(".")[0] in OURS}
    others = {target.partition(".")[0] for target in targets(config)} - set(OURS)
    imported = frozenset[str]().union(*map(_ours_in, sorted(others)))
    return sorted(frozenset[str]().union(*map(reached, [module, *sorted(named | imported)])))


@cache
def _ours_in(package: str) -> frozenset[str]:
    """Our modules that the source of a package of others names in its imports."""
    imported = set[str]().union(*(imports(path) for name, path in sources(package).items() if name.endswith(".py")))
    return frozenset(imported & _imports().modules)


def code_digest(module: str, config: Any) -> str:
    """SHA-256 of the source of ``code_of``, and of the YAML files that come with the packages reached."""
    digest = hashlib.sha256()
    for name in code_of(module, config):
        digest.update(f"{name} {_digest_of(name)}\n".encode())
    return digest.hexdigest()


@cache
def _digest_of(module: str) -> str:
    """SHA-256 of a module's file; of a package also of the YAML files in its folders of data."""
    folder = package_folder(module)
    if folder is None:
        package, _, name = module.rpartition(".")
        parent = package_folder(package)
        assert parent is not None, f"{package} has a source but no folder above it"
        return hashlib.sha256((parent / f"{name}.py").read_bytes()).hexdigest()
    digest = hashlib.sha256((folder / "__init__.py").read_bytes())
    for path in _data_of(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _data_of(folder: Path) -> Iterator[Path]:
    for each in sorted(folder.iterdir()):
        if each.is_dir() and not (each / "__init__.py").exists():
            yield from sorted(each.rglob("*.yaml"))


def _packages_of(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module
