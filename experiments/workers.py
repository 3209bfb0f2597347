"""Worker processes: arms side by side, each with one thread for linear algebra."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, get_start_method, set_start_method
from queue import Empty, Queue
from typing import Any

from agents.processes import end_with_parent
from experiments.watching import ArmDay


class Stopped(RuntimeError):
    """Another arm failed; this one has stopped after its day."""


@dataclass(frozen=True)
class Report:
    """Tells the main process of each day, and hears from it when to stop."""

    ticks: Any
    stop: Any

    def __call__(self, day: ArmDay) -> None:
        """An arm has lived a day."""
        self.ticks.put(day)
        if self.stop.is_set():
            raise Stopped(day.arm)


def drained(ticks: "Queue[ArmDay]") -> list[ArmDay]:
    """What is in the queue, waiting a moment for the first."""
    days = []
    try:
        days.append(ticks.get(timeout=0.3))
        while True:
            days.append(ticks.get_nowait())
    except Empty:
        return days


def start_processes_as_python_does() -> None:
    """For a job that may run in a worker of joblib, whose own way to start processes a plain one does not know."""
    if get_start_method(allow_none=True) not in (None, *get_all_start_methods()):
        set_start_method("spawn", force=True)


@contextmanager
def pool_of(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes with one thread each for linear algebra: two on a core get in each other's way."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            yield pool
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
