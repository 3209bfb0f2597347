"""Cached stages: a stage's folder is written whole, and re-used if everything it rests on is the same.

What a stage rests on is hashed: its name, its part of the config, the hashes of the stages
before it, and the source code of ours that it runs (``experiments.stages.sources``). A killed stage leaves a
``.partial`` folder, in which it may keep checkpoints to go on from.
"""

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from experiments.stages.sources import code_digest
from sim.errors import InvalidInput
from sim.files import write_json
from sim.hidden.authored import authored_digest
from sim.hidden.config import WorldConfig


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        folder: what it wrote.
        digest: hash of all that it rests on.
        seconds: wall-clock seconds that making it took, when it was made (resumed parts added up).
        cached: whether it was in the cache and so not made.
    """

    folder: Path
    digest: str
    seconds: float
    cached: bool


def stage_digest(name: str, config: Any, inputs: list[str], module: str) -> str:
    """SHA-256 of what a stage rests on; ``module`` is where its ``make`` stands."""
    content = {"name": name, "config": config, "inputs": inputs, "code": code_digest(module, config)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def world_content(world: WorldConfig) -> dict[str, Any]:
    """A world's constants as stages rest on them: the authored files' content counts, not where they are."""
    return {**asdict(world), "taxonomy": authored_digest(world.taxonomy)}


def stage_folder(cache_dir: Path, name: str, digest: str) -> Path:
    """Where a stage is kept once it is whole."""
    return cache_dir / "stages" / f"{name}-{digest[:16]}"


def partial_folder(folder: Path) -> Path:
    """Where a stage is made that will be kept in ``folder``."""
    return folder.with_name(folder.name + ".partial")


def run_stage(
    cache_dir: Path,
    name: str,
    make: Callable[[Path], None],
    *,
    config: Any,
    inputs: list[str],
) -> Stage:
    """Find the stage in the cache or make it.

    Whatever the module that ``make`` stands in imports is taken for source that the stage runs: stages that share
    a module with a command, a page or a figure are made anew whenever these are edited.

    Args:
        cache_dir: where stages live.
        name: the stage's name, part of its folder's.
        make: fills the folder that it is given; the folder may hold what a killed run left.
        config: JSON-able part of the config that the stage depends on.
        inputs: digests of the stages that it reads.
    """
    digest = stage_digest(name, config, inputs, (make.func if isinstance(make, functools.partial) else make).__module__)
    folder = stage_folder(cache_dir, name, digest)
    cached = folder.is_dir()
    if not cached:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):  # jobs of a sweep may share their burn-in
            cached = folder.is_dir()  # another process has made it while we waited
            if not cached:
                _make(make, partial_folder(folder))
                os.replace(partial_folder(folder), folder)
    return Stage(folder, digest, _seconds(folder), cached)


def _make(make: Callable[[Path], None], partial: Path) -> None:
    """Fill the folder, and note how long all attempts at it took together."""
    partial.mkdir(exist_ok=True)
    before = _seconds(partial) if (partial / "seconds.json").is_file() else 0.0
    begun = time.monotonic()
    make(partial)
    write_json(partial / "seconds.json", {"seconds": before + time.monotonic() - begun})


def _seconds(folder: Path) -> float:
    return float(json.loads((folder / "seconds.json").read_text())["seconds"])


def check_cache_dir(cache_dir: Any, name: str = "cache_dir") -> Path:
    """The cache folder, or another that is written into, made if need be.

    Raises:
        InvalidInput: it is no text, or cannot be written to; calls it ``name``.
    """
    if not isinstance(cache_dir, str) or not cache_dir.strip():
        raise InvalidInput(name, cache_dir, "must be a folder that can be written to")
    path = Path(cache_dir).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:  # ValueError: no path at all, such as one with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(name, cache_dir, f"must be a folder that can be written to ({reason})") from None
    return path
