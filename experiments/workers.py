"""Worker processes: arms side by side, each with one thread for linear algebra."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from queue import Empty, Queue
from typing import Any


class Stopped(RuntimeError):
    """Another arm failed; this one has stopped after its day."""


@dataclass(frozen=True)
class Report:
    """Tells the main process of each day, and hears from it when to stop."""

    ticks: Any
    stop: Any

    def __call__(self, name: str) -> None:
        """An arm has lived a day."""
        self.ticks.put(name)
        if self.stop.is_set():
            raise Stopped(name)


def drained(ticks: "Queue[str]") -> list[str]:
    """What is in the queue, waiting a moment for the first."""
    names = []
    try:
        names.append(ticks.get(timeout=0.3))
        while True:
            names.append(ticks.get_nowait())
    except Empty:
        return names


@contextmanager
def pool_of(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes with one thread each for linear algebra: two on a core get in each other's way."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
