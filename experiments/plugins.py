"""Agents of other distributions: discovered, put on Hydra's search path, and each reported if broken.

A distribution announces an agent by an entry point of the group ``interestlab.agents``, whose name is
the agent's and whose value is the package that holds ``conf/agent/NAME.yaml``:

    [project.entry-points."interestlab.agents"]
    shelf = "shelf"

Nothing of a plugin is imported until one of its agents is built, so that a broken one disturbs no run
that does without it.
"""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from agents.check_source import GROUP, files_below, package_folder, sources, targets
from sim.errors import InvalidInput

RESERVED = ("control", "production")
"""Names that mean something else among arms and agents."""

OURS = ("sim", "agents", "envs", "conf", "experiments")
"""Our own packages, whose source the stages' digests cover already."""


@dataclass(frozen=True)
class Plugin:
    """An agent that an installed distribution announces.

    Attributes:
        name: the agent's name.
        package: the package that the entry point names.
        conf: the package's folder of configs; None if it has none, or not this agent's.
        fault: why the agent cannot be chosen; empty if nothing speaks against it.
    """

    name: str
    package: str
    conf: Path | None
    fault: str = ""

    def error(self) -> InvalidInput:
        """The error for a user who chooses this agent."""
        return InvalidInput(f"agent plugin {self.name}", self.package, self.fault)


def choices(group: str) -> list[str]:
    """All choices of a config group, ours and those of installed plugins, in alphabetical order."""
    folders = [plugin.conf for plugin in installed().values() if plugin.conf is not None]
    of_plugins = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    return sorted({*built_in(group), *of_plugins})


def built_in(group: str) -> list[str]:
    """The choices of a config group that come with interestlab, in alphabetical order."""
    names = (entry.name for entry in files("conf").joinpath(group).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml") and name != "base.yaml")


def installed() -> dict[str, Plugin]:
    """All announced agents by name, the faulty ones included."""
    points: dict[str, list[EntryPoint]] = {}
    for entry in _announced(tuple(sys.path)):
        points.setdefault(entry.name, []).append(entry)
    return {name: _plugin(name, entries) for name, entries in sorted(points.items())}


@cache
def _announced(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The group's entry points, as they were when this process first looked along ``path``: a look costs 30 ms."""
    return tuple(entry_points(group=GROUP))


def _plugin(name: str, entries: list[EntryPoint]) -> Plugin:
    from sim.records import is_name  # pydantic takes .1 s to import, which no command without plugins should wait for

    package = entries[0].value
    packages = sorted({entry.value for entry in entries})
    if not is_name(name):
        return Plugin(name, package, None, "the entry point's name must be a Python name, such as my_agent")
    if len(packages) > 1:
        return Plugin(
            name, ", ".join(packages), None, "several packages bring an agent of this name; uninstall all but one"
        )
    if name in built_in("agent") or name in RESERVED:
        return Plugin(
            name, package, None, "interestlab has an agent or arm of this name itself; rename the entry point"
        )
    folder = package_folder(package)
    if folder is None:
        return Plugin(name, package, None, "the entry point's value must be an importable package; install it again")
    if not (folder / "conf" / "agent" / f"{name}.yaml").is_file():
        return Plugin(name, package, None, f"the package must hold conf/agent/{name}.yaml (as package data)")
    return Plugin(name, package, folder / "conf")


class AgentSearchPath(SearchPathPlugin):
    """Lets Hydra find the configs of installed agents; ours come first, so none can be replaced."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the plugins' folders."""
        for plugin in installed().values():
            if plugin.conf is not None:
                search_path.append(f"agent plugin {plugin.name}", f"file://{plugin.conf}")


def with_plugins(command: str, arguments: Sequence[str]) -> list[str]:
    """Make installed agents known to a command, as if they stood in its own config.

    Args:
        command: the command, whose config is ``conf/COMMAND.yaml``.
        arguments: what was typed after it.

    Returns:
        The arguments, and one ``+agent@agents.NAME=NAME`` for every plugin, where the command has ``agents`` and the
        user did not say so already.

    Raises:
        InvalidInput: an argument wants an agent of a faulty plugin.
    """
    Plugins.instance().register(AgentSearchPath)
    plugins = installed()
    wanted = [name for name in plugins if any(asks_for(argument, name) for argument in arguments)]
    has_agents = _has_agents(command)
    checked = _checked(command, {name: plugins[name] for name in (plugins if has_agents else wanted)}, has_agents)
    for name in wanted:
        if checked[name].fault:
            raise checked[name].error()
    if not has_agents:
        return list(arguments)
    given = {argument.partition("=")[0].lstrip("+") for argument in arguments}
    whole = [name for name, plugin in checked.items() if not plugin.fault and f"agent@agents.{name}" not in given]
    # Among the other overrides: the command line may go on with flags, after which none may follow.
    place = next((i for i, a in enumerate(arguments) if "=" in a and not a.startswith("-")), len(arguments))
    return [*arguments[:place], *(f"+agent@agents.{name}={name}" for name in whole), *arguments[place:]]


def asks_for(argument: str, name: str) -> bool:
    """Whether an override asks for an agent: chooses it, makes it an arm, or sets one of its entries."""
    key, _, value = argument.lstrip("+~").partition("=")
    asks = key.partition("@")[0] == "agent" or key.startswith("experiment.")
    return (asks and name in re.findall(r"\w+", value)) or f"{key}.".startswith(f"agents.{name}.")


def _has_agents(command: str) -> bool:
    """Whether a command's config chooses agents by name, itself or through another that it builds on."""
    path = files("conf").joinpath(f"{command}.yaml")
    if not path.is_file():
        return False
    defaults = yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", [])
    groups = [next(iter(entry)) for entry in defaults if isinstance(entry, dict)]
    others = [entry for entry in defaults if isinstance(entry, str) and entry not in ("_self_", command)]
    return any(g == "agents" or g.startswith("agent@agents.") for g in groups) or any(map(_has_agents, others))


def _checked(command: str, plugins: dict[str, Plugin], has_agents: bool) -> dict[str, Plugin]:
    """The plugins, faulty also those whose config cannot be composed: all at once, or else one by one."""
    whole = [name for name, plugin in plugins.items() if not plugin.fault]
    if not whole or not _compose_fault(command, whole, has_agents):
        return plugins
    faults = {name: _compose_fault(command, [name], has_agents) for name in whole}
    return {name: Plugin(name, p.package, p.conf, p.fault or faults[name]) for name, p in plugins.items()}


def _compose_fault(command: str, names: list[str], has_agents: bool) -> str:
    """Why some agents' configs cannot be part of a command's; empty if they can."""
    overrides = [f"+agent@agents.{name}={name}" for name in names]
    try:
        with initialize_config_module("conf", version_base="1.3"):
            config = compose(command if has_agents else None, overrides)
        for name in names:
            agent: Any = OmegaConf.to_container(config.agents[name], resolve=has_agents)
            if not isinstance(agent, dict) or not isinstance(agent.get("_target_"), str):
                return f"conf/agent/{name}.yaml must name the agent's class as _target_"
    except Exception as error:  # Hydra's, OmegaConf's and YAML's own errors are of many kinds
        reason = " ".join(str(error).split())
        return f"its config cannot be composed: {reason[:200]}"
    return ""


def outside_digests(agent: dict[str, Any] | None) -> dict[str, str]:
    """Digests of an agent's dependencies outside our own source: a changed plugin must not reuse old results.

    Returns:
        SHA-256 of the whole top-level package (or module) of every ``_target_`` outside ours, and of every file and
        folder that the config names; by package and by path.

    Raises:
        InvalidInput: a package, or a file or folder that the config names, cannot be read.
    """
    tops = {target.partition(".")[0] for target in targets(agent)} - set(OURS)
    digests = {top: _digest_of_package(top) for top in sorted(tops)}
    return digests | {path: _digest_of_path(path, setting) for path, setting in sorted(_named_paths(agent).items())}


def _named_paths(config: Any, setting: str = "") -> dict[str, str]:
    """The files and folders that a config names, as it writes them, and by which setting.

    A folder is named by a path with a separator, since any word may be a folder's name. One that holds the working
    directory (``/``, ``./``, ``../``) is not meant: no agent reads all of it.
    """
    if isinstance(config, (dict, list)):
        entries = config.items() if isinstance(config, dict) else enumerate(config)
        named = dict[str, str]()
        for key, value in entries:
            named |= _named_paths(value, f"{setting}.{key}" if setting else str(key))
        return named
    if not isinstance(config, str):
        return {}
    path = os.path.expanduser(config)
    is_folder = os.sep in config and os.path.isdir(path) and not Path.cwd().is_relative_to(Path(path).resolve())
    return {config: setting} if is_folder or os.path.isfile(path) else {}


def _digest_of_path(named: str, setting: str) -> str:
    """SHA-256 of a file, or of a folder's files with their names in it."""
    path = Path(os.path.expanduser(named))
    try:
        if path.is_file():
            return _digest({path.name: path})
        content = hashlib.sha256()
        for inner in files_below(path):
            content.update(f"{inner.relative_to(path).as_posix()}\n{_digest({inner.name: inner})}\n".encode())
    except OSError as error:
        raise InvalidInput(setting, named, f"must be a file or folder that can be read ({error})") from None
    return content.hexdigest()


@cache
def _digest_of_package(package: str) -> str:
    try:
        return _digest(sources(package))
    except OSError as error:
        raise InvalidInput("package", package, f"must be readable ({error})") from None


def _digest(files_by_name: dict[str, Path]) -> str:
    content = hashlib.sha256()
    for name, path in files_by_name.items():
        with path.open("rb") as file:
            content.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()
