"""Errors in the code of an agent, a planner or a ranker: one line that says whose code it is, and where."""

import inspect
import linecache
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from agents.check_source import CLOSED_PACKAGES
from sim.errors import InvalidInput, WallBreach

OURS = ("sim", "agents", *CLOSED_PACKAGES)
"""Our own packages. Errors that they raise are not caught here: such an error is a fault of interestlab."""


def code_of(part: object) -> str:
    """A part's class and the file that defines it: ``Mine, /path/mine.py``."""
    kind = type(part)
    try:
        return f"{kind.__name__}, {inspect.getsourcefile(kind) or kind.__module__}"
    except (OSError, TypeError):  # a class that was made without a file
        return f"{kind.__name__}, {kind.__module__}"


@contextmanager
def naming_code(part: object) -> Iterator[None]:
    """Add the class and file of an agent, a planner or a ranker to what a check says of the value that it returned.

    Raises:
        InvalidInput: the check's, with ``code_of(part)``.
    """
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(error.field, error.value, f"{error.expected} ({code_of(part)})") from None


def writes_to_input(error: BaseException) -> bool:
    """Whether numpy raised an error because somebody wrote to a read-only array."""
    return isinstance(error, ValueError) and any(word in str(error) for word in ("read-only", "WRITEABLE"))


@contextmanager
def blamed(field: str, part: object, method: str) -> Iterator[None]:
    """Run a method of an agent, a planner or a ranker; what it raises becomes one line that names it.

    Errors of classes that come with interestlab stay as they are, with their traceback.

    Args:
        field: how the message names the part, such as ``planner Mine``.
        part: the object whose method runs.
        method: the method's name.

    Raises:
        InvalidInput: the method raised an exception. The message holds the exception, and file, line and source of
            the last frame in the author's package; of an ``InvalidInput`` that the author's own code raised, its words
            alone, as they are written for the user.
    """
    try:
        yield
    except (WallBreach, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # whatever somebody else's code may raise, SystemExit too
        if package_of(part) in OURS:
            raise
        place = last_frame(error.__traceback__, package_of(part)) or code_of(part)
        if isinstance(error, InvalidInput):
            where = "" if raised_by(error.__traceback__, package_of(part)) else f" ({place})"
            raise InvalidInput(f"{field}: {error.field}", error.value, error.expected + where) from error
        if writes_to_input(error):
            raise InvalidInput(field, method, f"must not change its input; copy the array first ({place})") from error
        came = " ".join(f"{type(error).__name__}: {error}".split())
        raise InvalidInput(field, came, f"{method} must not raise an error; this one comes from {place}") from error


def package_of(part: object) -> str:
    """The top-level package or module that defines a part's class."""
    return type(part).__module__.partition(".")[0]


def raised_by(raised: TracebackType | None, package: str) -> bool:
    """Whether the innermost frame of a traceback is code of a package."""
    frames = [frame for frame, _ in traceback.walk_tb(raised)]
    return bool(frames) and _is_of(frames[-1], package)


def _is_of(frame: FrameType, package: str) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == package


def last_frame(raised: TracebackType | None, package: str) -> str:
    """File, line, function and source of the last frame of a traceback in a package's code; empty if there is none."""
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(raised)
        if _is_of(frame, package)
    ]
    if not frames:
        return ""
    file, line, function = frames[-1]
    source = linecache.getline(file, line).strip()
    return f"{file}, line {line}, in {function}" + (f": {source}" if source else "")
