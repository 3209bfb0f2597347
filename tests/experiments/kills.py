"""Stages that are killed at the steps that they take on the file system."""

import re
import shutil
import sys
from pathlib import Path

_STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")  # what each makes another state of the disk
_seen = None  # the steps of the run that is watched; None: none is
_fatal = None  # the number of the step before which it is killed


class Killed(BaseException):
    """What a process that is killed does not come back from."""


def _watch(event, arguments):
    if _seen is not None and event in _STEPS:
        if _fatal is not None and len(_seen) >= _fatal:  # and later ones too: a dead process tidies nothing up
            raise Killed
        _seen.append((event, re.sub(r"\d+", "N", Path(arguments[0]).name)))


sys.addaudithook(_watch)


def contents(folder):
    """Every file and folder and its bytes, but for how long it took."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name != "seconds.json"
    }


def killed_everywhere(run, cache, first=None):
    """Kill a run before its steps on the disk, each kind of step in turn, and run it again: the folder is the same.

    Args:
        run: makes something, or goes on with it, and gives its folder.
        cache: where it is made; emptied before each try.
        first: what the cache holds before; nothing if None.

    Returns:
        The kinds of steps, such as ("os.mkdir", "state.tmp"); of several alike the last one was fatal.
    """

    def fresh():
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(first, cache) if first is not None else cache.mkdir(parents=True)

    def watched(fatal):
        global _seen, _fatal
        fresh()
        _seen, _fatal = [], fatal
        try:
            return run(), _seen
        finally:
            _seen = _fatal = None

    watched(None)  # what is compiled or imported is so once
    folder, steps = watched(None)
    whole = contents(folder)
    kinds = {kind: number for number, kind in enumerate(steps)}
    for kind, number in kinds.items():
        try:
            watched(number)
        except Killed:
            assert contents(run()) == whole, f"killed before {kind}"
        else:
            raise AssertionError(f"step {number} never came")
    return set(kinds)
