"""``interestlab`` as a test runs it: a process a command, forked from one that has done the imports.

Importing torch, transformers and what stands on them takes seconds of processor time, and the tests run
hundreds of commands. The process that the commands are forked from has imported them (``tests.preloaded``) and done
nothing else, so that a command meets no state but that of a new interpreter. What a new interpreter itself does with
the words is tested in ``test_readme``.
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def interestlab(*words: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> CompletedProcess[str]:
    """Run ``interestlab WORDS`` and wait for it.

    Args:
        words: the command and its overrides.
        cwd: in which folder; as it is if not given.
        env: the environment; as it is if not given. ``PYTHONPATH`` goes before what can be imported anyway.

    Returns:
        Exit status, and what was printed.
    """
    context = _context()
    said = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        printed = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        environment = dict(os.environ if env is None else env)
        arguments = (said, str(cwd or Path.cwd()), environment, *printed)
        process = context.Process(target=_become, args=arguments)
        process.start()
        process.join()
        out, err = (Path(path).read_text(encoding="utf-8") for path in printed)
        return CompletedProcess(["interestlab", *said], process.exitcode or 0, out, err)


def in_a_new_interpreter(
    *words: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> CompletedProcess[str]:
    """The same as ``python -m experiments.main WORDS``."""
    command = [sys.executable, "-m", "experiments.main", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


SERVER = "INTERESTLAB_TESTS_FORK_SERVER"
"""Environment variable: the address of the process that pytest-xdist's workers fork commands from."""


def start_for_workers() -> None:
    """Start one such process for all workers, who find it by their environment; it ends with this process.

    multiprocessing has no public way to share it. From Python 3.14 on it also asks for a key: each worker then has a
    process of its own, as without this.
    """
    if sys.version_info >= (3, 14):
        return
    _context()
    os.environ[SERVER] = forkserver._forkserver._forkserver_address


@cache
def _context() -> ForkServerContext:
    """The process that commands are forked from: it must find ``tests``, wherever pytest was started."""
    context = get_context("forkserver")
    if SERVER in os.environ:
        server = forkserver._forkserver
        server._forkserver_address = os.environ[SERVER]
        server._forkserver_alive_fd = os.pipe()[1]  # every command gets one; it is for a server of one's own to read
        server.ensure_running = resource_tracker.ensure_running  # of a server, only its parent can ask that
        return context
    context.set_forkserver_preload(["tests.preloaded"])
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        forkserver.ensure_running()
    return context


def _become(words: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    """Turn this process, a moment old, into the command."""
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.argv = ["interestlab", *words]
    import torch

    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    from experiments.main import main

    try:
        main()
    finally:
        # A forked process waits for its children before joblib's own exit handler ends them, which takes five minutes.
        from joblib.externals.loky import reusable_executor

        if reusable_executor._executor is not None:
            reusable_executor._executor.shutdown(wait=True)
