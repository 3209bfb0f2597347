"""Runs the cases and says what they left: ``python -m tests.golden.run FOLDER [CASE ...]``.

``python -m tests.golden.run --keep`` writes the kept files anew; a commit that does so says why they changed.
"""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from filelock import FileLock, Timeout
from safetensors.numpy import load_file

from sim.files import write_text
from tests.command_line import SERVER
from tests.golden.cases import CASES, GROUPS, Case

KEPT = Path(__file__).parent / "kept"
ROOT = Path(__file__).parents[2]

SAME_EVERYWHERE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Sums of floating-point numbers depend on the width of the processor's registers. With these every processor that
has AVX2 takes the same instructions, so that the kept bytes are those of all machines."""

_OF_THE_RUN = {"seconds", "from_cache", "machine", "folder", "table", "parquet", "speed", "timings"}
"""Entries that hold durations, paths, or facts of the machine."""


def run_all(out: Path, names: list[str]) -> None:
    """Run the named cases (all if none is named), and write what is kept of each to ``out/found/NAME.json``."""
    from tests.command_line import interestlab

    (out / "found").mkdir(parents=True, exist_ok=True)
    with FileLock(out / "model.lock"):
        model = _model(out / "model")
    places = {"cache": str(out / "cache"), "model": str(model), "out": str(out)}
    for case in CASES:
        if names and case.name not in names:
            continue
        folder, begun = out / case.name, time.monotonic()
        folder.mkdir(exist_ok=True)
        words = [word.format(**places) for word in case.words]
        if words[0] not in ("new-agent", "check-agent", "report", "cite") and "-m" not in words:
            words.append(f"hydra.run.dir={folder}")
        done = interestlab(*words, cwd=folder)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stderr[-4000:]}")
        found = kept_of(case, folder / case.folder, done.stdout, out)
        text = json.dumps(found, indent=1, sort_keys=True)
        (out / "found" / f"{case.name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{case.name}: {time.monotonic() - begun:.1f} s", file=sys.stderr)


def kept_of(case: Case, folder: Path, printed: str, out: Path) -> dict[str, Any]:
    """What is kept of a run: file -> content or digests."""
    found: dict[str, Any] = {}
    for pattern in case.keeps:
        if pattern == "stdout":
            lines = [
                re.sub(r"\(\d+ files", "(some files", line) for line in printed.splitlines() if "latency" not in line
            ]
            found["stdout"] = _without(lines, out)
            continue
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        assert paths, f"{case.name} left no {pattern} in {folder}: {sorted(p.name for p in folder.iterdir())}"
        for path in paths:
            found[path.relative_to(folder).as_posix()] = _content(path, out)
    return found


def _content(path: Path, out: Path) -> Any:
    if path.name == "benchmark.json":
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return [sorted((key, value) for key, value in row.items() if isinstance(value, str)) for row in rows]
    if path.suffix == ".json":
        return _without(json.loads(path.read_text(encoding="utf-8")), out)
    if path.suffix == ".parquet":
        columns = pyarrow.parquet.read_table(path)
        return {name: _digest(json.dumps(columns[name].to_pylist()).encode()) for name in columns.column_names}
    if path.suffix == ".safetensors":
        return {name: _digest(array.tobytes()) for name, array in sorted(load_file(path).items())}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _digest(arrays[name].tobytes()) for name in sorted(arrays)}
    return _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _without(content: Any, out: Path) -> Any:
    """JSON's content without durations, and without the folder that this run happened to have."""
    if isinstance(content, dict):
        return {key: _without(value, out) for key, value in content.items() if key not in _OF_THE_RUN}
    if isinstance(content, list):
        return [_without(value, out) for value in content]
    return content.replace(str(out), "OUT") if isinstance(content, str) else content


def _model(folder: Path) -> Path:
    """A language model of two layers with random weights, and a tokenizer learned from a few words."""
    if folder.is_dir():  # then nothing of transformers is needed, whose import takes seconds
        return folder
    from tests.agents.llm.families import make_family

    return make_family("qwen2", folder, hidden_size=16, num_hidden_layers=1)


def folder_of(name: str, out: Path) -> Path:
    """The folder in ``out`` that a case's run left; its group is run if no process has done so.

    While another process runs the group, this one runs a group that nobody has begun: workers of the tests share the
    work and do not wait for each other.
    """
    own = next(group for group in GROUPS if name in group)
    while not _output_of(own, out).exists():
        if not any(_run_group(group, out) for group in (own, *GROUPS)):
            time.sleep(0.5)
    assert (out / "found" / f"{name}.json").is_file(), _output_of(own, out).read_text(encoding="utf-8")
    return out / name


def _run_group(group: tuple[str, ...], out: Path) -> bool:
    """Run a group of cases, unless that was done or another process is doing it; whether this one did."""
    with contextlib.suppress(Timeout), FileLock(out / f"{group[0]}.lock", timeout=0):
        if not _output_of(group, out).exists():
            write_text(_output_of(group, out), in_its_environment(out, list(group), subprocess.STDOUT).stdout)
            return True
    return False


def _output_of(group: tuple[str, ...], out: Path) -> Path:
    """What a group's process printed, once it has ended."""
    return out / f"{group[0]}.txt"


def in_its_environment(out: Path, names: list[str], stderr: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the cases in a new interpreter, whose libraries take the same instructions on every machine."""
    environment = {**os.environ, **SAME_EVERYWHERE}
    environment.pop(SERVER, None)  # the workers' commands are forked from a process with this machine's instructions
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "tests.golden.run", str(out), *names]
    return subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
    )


def main() -> None:
    """Run in this environment, or, with ``--keep``, in the right one and keep what comes out."""
    if sys.argv[1] != "--keep":
        run_all(Path(sys.argv[1]).resolve(), sys.argv[2:])
        return
    with tempfile.TemporaryDirectory() as folder:
        out, names = Path(folder).resolve(), sys.argv[2:]
        done = in_its_environment(out, names)
        KEPT.mkdir(exist_ok=True)
        for path in sorted((out / "found").glob("*.json")):
            (KEPT / path.name).write_bytes(path.read_bytes())
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
