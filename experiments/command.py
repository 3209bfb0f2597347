"""Every command's entry: its one line in the table, lazy imports, and one clear line for a user's mistake.

A command ``NAME`` is the function ``run(config, folder)`` of ``experiments/NAME/command.py``, with ``conf/NAME.yaml``
for its config. The module is imported once Hydra has composed the config and nothing else is left to be done, so that
``--help``, ``--cfg job`` and a typo wait for no library that only a run needs.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.plugins import choices, installed, with_plugins
from experiments.study.overrides import check_arguments, explained, split_words
from sim.errors import InvalidInput

import_module("conf")  # what configs resolve with: a launcher's process composes none by itself


@dataclass(frozen=True)
class Command:
    """A line of the table.

    Attributes:
        title: what the command is for.
        by_hydra: whether Hydra composes its config; otherwise its module has a ``main`` that reads the arguments.
        words: what words that are no overrides mean to it; ``run`` gets them as a third argument.
        parts: what the only word must be, and which ``conf/NAME_WORD.yaml`` it chooses.
    """

    title: str
    by_hydra: bool = True
    words: str = ""
    parts: tuple[str, ...] = ()


COMMANDS = {
    "compare": Command("an A/B comparison of recommenders, from burn-in to report.html"),
    "paper": Command("the paper's figures and claims over several worlds, with their controls"),
    "table": Command("the language model's table alone: filled, shared between machines, refreshed, exported"),
    "report": Command("comparisons in several worlds, joined into one table, figure and page", by_hydra=False),
    "tune": Command("what one setting of an agent is worth on tuning worlds; with -m, a search"),
    "new-agent": Command("a package with an agent of your own, which works and waits to be changed", by_hydra=False),
    "check-agent": Command("whether an agent keeps the contract: what is wrong, and how to mend it"),
    "explain": Command(
        "what planners say should follow on two interests, side by side, and what is true", words="interests"
    ),
    "knowledge": Command("whether a fine-tuned language model knows next interests that its log never showed"),
    "interference": Command(
        "what live experiments would have estimated, beside what is true: split, shared data, co-diverted"
    ),
    "dataset": Command(
        "logged data sets from and to KuaiRand, KuaiRec, MIND, MovieLens, Open Bandit, obp, Minari, Parquet"
    ),
    "offline": Command("which item, cluster, new cluster next? agents asked about the last days of a log"),
    "fit": Command("a world's constants fitted to a log of yours, and how close that comes"),
    "arena": Command("what off-policy estimators say of agents from logs, beside what is true of them"),
    "certify": Command("which stylised facts of real platforms a world shows"),
    "benchmark": Command(
        "how fast the simulator is, as ratios measured side by side",
        words="part",
        parts=("simulator", "agents", "llm", "offline"),
    ),
    "cite": Command("BibTeX of the papers that an agent implements", by_hydra=False),
    "portrait": Command("one simulated person's interest tree over time, and the population, as figures"),
}

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
    """Turn a user's mistake into one line on stderr and exit status 2."""
    try:
        yield
    except InvalidInput as error:
        print(f"interestlab {command}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"interestlab {command}: interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


class Task:
    """What Hydra calls with the composed config, here or in a launcher's process.

    Attributes:
        begun: whether it was called in this process; errors before that are of the arguments.
    """

    def __init__(self, command: str, words: Sequence[str]) -> None:
        self.command, self.words = command, tuple(words)
        self.begun = False

    def __call__(self, config: DictConfig) -> Any:
        """Run the command; what it returns is for a sweeper."""
        self.begun = True
        folder = Path(HydraConfig.get().runtime.output_dir)
        more = (self.words,) if COMMANDS[self.command].words else ()
        with clear_errors(self.command):
            return module_of(self.command).run(config, folder, *more)


def module_of(command: str) -> Any:
    """A command's module, imported."""
    return import_module(f"experiments.{command.replace('-', '_')}.command")


def run_command(command: str) -> None:
    """Run a command on the arguments of this process; installed agents join in."""
    with clear_errors(command):
        if not COMMANDS[command].by_hydra:
            module_of(command).main()
            return
        words, arguments = split_words(sys.argv[1:])
        conf = _config_name(command, words, arguments)
        if conf is None:
            return
        check_arguments(arguments)
        arguments = with_plugins(command, arguments)
        check_choices(arguments)
        if {"-h", "--help"} & set(arguments):
            print(_help(conf))
            return
        sys.argv[1:] = arguments
        _compose_and_run(Task(command, words), conf, arguments)


def _config_name(command: str, words: Sequence[str], arguments: Sequence[str]) -> str | None:
    """Which config the command has; None if all that was wanted is how its parts are called."""
    known = COMMANDS[command]
    if words and not known.words:
        raise InvalidInput("argument", words[0], "must be ENTRY=VALUE, GROUP=CHOICE or a flag; --help lists them")
    if not known.parts:
        return command.replace("-", "_")
    if not words and {"-h", "--help"} & set(arguments):
        parts = "|".join(known.parts)
        print(f"usage: interestlab {command} {parts} [overrides]; interestlab {command} {known.parts[1]} --help")
        return None
    part = words[0] if words else None
    if part not in known.parts or len(words) > 1:
        expected = f"must be one of {', '.join(known.parts)}: interestlab {command} {known.parts[1]}"
        raise InvalidInput(known.words, part if len(words) < 2 else list(words), expected)
    return f"{command}_{part}"


def _help(conf: str) -> str:
    """What ``conf/hydra/help`` says of a command. Hydra's own way copies all configs a hundred times for it."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(conf, return_hydra_config=True).hydra.help
    folders = (each.name for each in files("conf").iterdir() if each.is_dir() and not each.name.startswith("__"))
    groups = {name: ", ".join(choices(name)) for name in sorted(folders)}
    listed = "\n".join(f"{name}: {known}" for name, known in groups.items() if known)
    return Template(config.template).substitute(APP_CONFIG_GROUPS=listed)


def _compose_and_run(task: Task, conf: str, arguments: Sequence[str]) -> None:
    """Let Hydra do its work; errors in the arguments are raised as ``InvalidInput``."""
    own = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us instead of Hydra's own account of them
    try:
        with _composed_once(arguments):
            hydra.main(version_base="1.3", config_path="pkg://conf", config_name=conf)(task)()
    except Exception as error:
        clear_error = None if task.begun or own == "1" else explained(error, conf, arguments)
        if clear_error is None:
            raise
        raise clear_error from None
    finally:
        if own is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = own


@contextmanager
def _composed_once(arguments: Sequence[str]) -> Iterator[None]:
    """Keep Hydra from composing the config twice, of which the first time (half a second) only reads ``hydra.mode``.

    Our configs do not set that entry. Where the arguments or an agent's package bring in other configs, Hydra looks.
    """
    others = ("hydra=", "hydra.mode", "hydra.searchpath", "--config-", "-cd", "-cp", "-cn")
    if installed() or any(argument.lstrip("+~").startswith(others) for argument in arguments):
        yield
        return
    look = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]  # the flag --multirun alone decides
    try:
        yield
    finally:
        Hydra.get_mode = look  # type: ignore[method-assign]
