"""The wall at run time: while a recommender's code runs, what is hidden stays hidden.

At run time two things keep it (before that, import contracts and ``check-agent`` read the source).
``sim.platform.Platform`` hands out public things only, and none that could be changed. And while any method
of an agent runs, imports of hidden modules are refused, unless it is our own trusted code that imports
(``TRUSTED``). A plugin that reaches further stops the run with one line, even if it catches the error itself.

This finds mistakes. It does not stop code that tries to get around it: ``importlib``, ``sys.modules``, ``gc``, frames,
a function's ``__globals__`` or ``ctypes`` get past it, because agent and simulator run in the same process.
"""

import builtins
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.blame import blamed, writes_to_input
from agents.check_source import CLOSED_PACKAGES, MAY_IMPORT, hidden_names
from sim.arrays import FloatArray, IntArray, readonly
from sim.errors import InvalidInput, WallBreach, breaches
from sim.log import DTYPES

TRUSTED = ("sim", "envs", "experiments")
"""Packages whose modules may import what is hidden, also while a recommender is at work."""

_GUARDED = ("sim", *CLOSED_PACKAGES)

Import = Callable[..., ModuleType]


@contextmanager
def wall(agent: str, doing: str) -> Iterator[None]:
    """Let a recommender's code run behind the wall; messages tell its name, and what it is ``doing``.

    Raises:
        WallBreach: the code reached for something hidden; also if it caught that error itself.
        InvalidInput: the code tried to write to what it was given; or raised one, now with its name.
    """
    real = builtins.__import__
    builtins.__import__ = _guarded(real)
    breaches.clear()
    try:
        yield
    except InvalidInput as error:
        if error.field.startswith("agent "):
            raise
        raise InvalidInput(f"agent {agent}: {error.field}", error.value, error.expected) from error
    except ValueError as error:
        if not writes_to_input(error):
            raise
        raise InvalidInput(f"agent {agent}", doing, "must not change its input; copy the array first") from error
    finally:
        builtins.__import__ = real
        if breaches:
            first = breaches[0]
            mine = WallBreach(f"agent {agent}: {first.field}", first.value, first.expected)
            breaches.clear()
            raise mine from None


def _guarded(real: Import) -> Import:
    """Python's import, which shows the public side only to all but trusted code."""

    def guarded_import(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or name.partition(".")[0] not in _GUARDED:
            return real(name, globals, locals, fromlist, level)
        importer = str((globals or {}).get("__name__", ""))
        if importer.partition(".")[0] in TRUSTED:
            return real(name, globals, locals, fromlist, level)
        for hidden in hidden_names(name, tuple(fromlist or ())):
            raise WallBreach("import", hidden, MAY_IMPORT)
        module = real(name, globals, locals, fromlist, level)
        return _Front(module.__name__) if module.__name__ == "sim" else module

    return guarded_import


class _Front(ModuleType):
    """A module of ``sim`` as recommenders see it: ``import sim.log`` would else lead to ``sim.hidden.world``."""

    def __getattr__(self, name: str) -> Any:
        for hidden in hidden_names(self.__name__, (name,)):
            raise WallBreach("import", hidden, MAY_IMPORT)
        value = getattr(sys.modules[self.__name__], name)
        return _Front(value.__name__) if isinstance(value, ModuleType) and value.__name__.startswith("sim.") else value


class Walled(Agent):
    """An agent whose every method runs behind the wall, on inputs that it cannot change."""

    def __init__(self, inner: Agent, name: str) -> None:
        self.inner = inner
        self.name = name

    @contextmanager
    def _at_work(self, method: str) -> Iterator[None]:
        """Around each call: the wall, and one line for what a plugin's code may raise."""
        with wall(self.name, method), blamed(f"agent {self.name}", self.inner, method):
            yield

    def bind(self, production: Agent) -> None:
        """See ``Agent.bind``; the agent meets production itself, not its wall."""
        with self._at_work("bind"):
            self.inner.bind(production.inner if isinstance(production, Walled) else production)

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """See ``Agent.fit``."""
        with self._at_work("fit"):
            self.inner.fit(platform, _unchangeable(log), rng)

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """See ``Agent.recommend``; the agent gets requests of its own, so the caller's stay what they are."""
        with self._at_work("recommend"):
            return self.inner.recommend(replace(requests), rng)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray | None:
        """See ``Agent.probability``."""
        with self._at_work("probability"):
            return self.inner.probability(replace(requests), readonly(items), readonly(above), rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """See ``Agent.update``."""
        with self._at_work("update"):
            self.inner.update(_unchangeable(log), rng)

    def save(self, folder: Path) -> None:
        """See ``Agent.save``."""
        with self._at_work("save"):
            self.inner.save(folder)

    def load(self, folder: Path, platform: Platform) -> None:
        """See ``Agent.load``."""
        with self._at_work("load"):
            self.inner.load(folder, platform)


def _unchangeable(log: InteractionLog) -> InteractionLog:
    """The same rows, which nobody can write to: other recommenders and the run's results read them, too."""
    return InteractionLog(**{name: readonly(getattr(log, name)) for name in DTYPES})
