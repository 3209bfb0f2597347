"""Jobs side by side: in this process, in worker processes of this machine, or on a Ray cluster.

All that runs side by side goes through ``side_by_side``: arms, shards of a table, folds, worlds. A job is a
function of nothing that can be pickled, computes with one thread, and leaves what is large in files.

The workers are loky's, by way of joblib. ``joblib.Parallel`` itself gives no sight of what runs meanwhile, and
Ray's backend for it deals jobs out by turn, so that one may wait for a long one while workers are idle; both
are given jobs here as futures, as many at once as there are workers.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from threading import Event, Thread
from typing import Any, TypeVar

from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

from agents.ray_cluster import connect_ray

Key = TypeVar("Key")
Result = TypeVar("Result")
Job = Callable[[], Result]

_LOOK_EVERY = 0.3  # seconds
_IDLE_WORKERS_LIVE = 300.0  # seconds


def side_by_side(
    jobs: Mapping[Key, Job[Result]],
    workers: int,
    backend: str = "loky",
    *,
    cores: int = 1,
    keep: bool = False,
    watch: Callable[[list[Key]], object] | None = None,
) -> Iterator[tuple[Key, Result]]:
    """Run jobs, each begun in its turn, ``workers`` at a time; what they give does not depend on where they run.

    When a job fails, or whoever asks for the results stops asking, jobs that run are killed. A job may run
    others side by side: within a Ray worker they stay on its machine.

    Args:
        jobs: by what they are called.
        workers: jobs at a time; with 1, or with one job, all is done in this process.
        backend: one of ``backends.BACKENDS``. Ray's is the cluster that runs, or a new one on this machine.
        cores: that a job takes, for Ray to reserve.
        keep: whether loky's workers wait for the next call, whose imports they then have.
        watch: called now and then with the jobs that run, also from a thread next to a job in this process.

    Yields:
        A job's name and result, as soon as it is done.

    Raises:
        Exception: what a job raised.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for key, job in jobs.items():
            with nullcontext() if watch is None else _watched(partial(watch, [key])):
                result = _with_one_thread(job)
            yield key, result
        return
    on_ray = backend == "ray" and not _in_ray_worker()
    with _on_ray(cores) if on_ray else _in_processes(workers, keep) as submit:
        left, running = iter(jobs.items()), dict[Future[Result], Key]()
        while True:
            running |= {submit(job): key for key, job in islice(left, workers - len(running))}
            if not running:
                return
            for done in wait(running, _LOOK_EVERY, FIRST_COMPLETED).done:
                yield running.pop(done), _result(done)
            if watch is not None:
                watch(list(running.values()))


def end_with_parent(parent: int) -> None:
    """End this process when its parent, process ``parent``, has ended, however that was.

    Workers outlive a parent that is killed: they would go on for hours with a job whose result nobody reads.
    """

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)  # not sys.exit, which would end this thread alone

    Thread(target=look, daemon=True).start()


@contextmanager
def _watched(look: Callable[[], object]) -> Iterator[None]:
    """Call ``look`` now and then, in a thread."""
    done = Event()

    def looking() -> None:
        while not done.wait(_LOOK_EVERY):
            look()

    with ThreadPoolExecutor(1) as thread:
        watcher = thread.submit(looking)
        try:
            yield
        finally:
            done.set()
        watcher.result()


def _with_one_thread(job: Job[Result]) -> Result:
    """Run a job with one thread for linear algebra: two jobs' threads on a core slow each other down."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(1, user_api="blas"):
        try:
            if torch:
                torch.set_num_threads(1)
            return job()
        finally:
            if torch:
                torch.set_num_threads(threads)


def _result(done: "Future[Result]") -> Result:
    try:
        return done.result()
    except Exception as error:  # whatever a job may raise
        cause = getattr(error, "cause", None)  # Ray's errors are of a kind made up on the spot
        if isinstance(cause, Exception):
            raise cause from error
        raise


@contextmanager
def _in_processes(workers: int, keep: bool) -> Iterator[Callable[[Job[Result]], "Future[Result]"]]:
    executor = get_reusable_executor(
        workers,
        timeout=_IDLE_WORKERS_LIVE,
        initializer=_start_worker,
        initargs=(os.getpid(),),
        env={"OMP_NUM_THREADS": "1"},
    )
    try:
        yield partial(executor.submit, _with_one_thread)
    except BaseException:
        executor.shutdown(kill_workers=True)
        raise
    if not keep:
        executor.shutdown()


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent sees to it that workers end
    end_with_parent(parent)


def _in_ray_worker() -> bool:
    """Whether this process is a worker of Ray: its cores are taken, and more may never come free."""
    ray = sys.modules.get("ray")
    return bool(ray is not None and ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE)


@contextmanager
def _on_ray(cores: int) -> Iterator[Callable[[Job[Result]], "Future[Result]"]]:
    ray = connect_ray()
    most = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    run = ray.remote(num_cpus=min(cores, most))(_in_folder)
    tasks: list[Any] = []

    def submit(job: Job[Result]) -> "Future[Result]":
        tasks.append(run.remote(os.getcwd(), job))
        return tasks[-1].future()  # type: ignore[no-any-return]

    try:
        yield submit
    except BaseException:
        for task in tasks:
            ray.cancel(task, force=True)
        raise


def _in_folder(folder: str, job: Job[Result]) -> Result:
    os.chdir(folder)  # relative paths are relative to where the command was started
    return _with_one_thread(job)
