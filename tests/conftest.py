"""What tests of several folders share."""

import contextlib
import gc
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from tests.command_line import start_for_workers

# Before anything imports numpy or torch, which is why the fixtures below import what they need: workers of
# pytest-xdist, and the processes that tests start, use the cores already. Two threads on a core wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("tests", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("tests")


collect_ignore = ["preloaded.py"]  # it has no example, and workers would do what it is to do once for all


def pytest_configure(config: pytest.Config) -> None:
    """Start what workers of pytest-xdist fork commands from, so that it is ready when they have collected the tests."""
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        start_for_workers()


def pytest_collection_finish() -> None:
    """Leave what has been imported, millions of objects, out of every later garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def weights_cache() -> Path:
    """The user's own cache, where the real weights are converted once (20 s)."""
    from agents.llm.weights import BUNDLED_MODEL, prepare_weights

    cache = Path(os.environ.get("INTERESTLAB_CACHE", "~/.cache/interestlab")).expanduser()
    prepare_weights(BUNDLED_MODEL, cache)
    return cache


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> Path:
    """A cache of stages for this run of the tests, empty but for the converted weights.

    Runs of pytest that follow each other on the same code can share one: ``INTERESTLAB_TEST_CACHE`` names it.
    """
    named = os.environ.get("INTERESTLAB_TEST_CACHE")
    if named:
        return cache_with_weights(Path(named), weights_cache)
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent  # one for all workers, who wait for each other's stages
    return cache_with_weights(run / "shared-cache", weights_cache)


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder that a case of ``tests/golden`` left, by its name.

    All workers share the runs, which take minutes: tests that ask for one are slow ones.
    """
    from tests.golden.run import folder_of

    run = tmp_path_factory.getbasetemp().resolve()
    out = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "golden"
    out.mkdir(exist_ok=True)
    return partial(folder_of, out=out)


def cache_with_weights(folder: Path, weights_cache: Path) -> Path:
    """A new cache that shares the converted weights and the simulator's machine code (20 s to compile)."""
    folder.mkdir(parents=True, exist_ok=True)
    for shared in ("weights", "compiled"):
        (weights_cache / shared).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (folder / shared).symlink_to(weights_cache / shared)
    return folder
