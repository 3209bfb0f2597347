"""``hydra/launcher=ray``: every job of a sweep is a task of a Ray cluster.

Ours because hydra-ray-launcher 1.2.2 also starts machines in the cloud, and what it needs for that does not go with
current versions of other libraries (docs/decisions.md). All machines must see the same files under the same
paths: results and the cache of stages are written where the sweep was started.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class RayLauncher(Launcher):
    """Runs jobs on a Ray cluster and waits for all of them."""

    def __init__(self, address: str | None, num_cpus: int | None, cpus_per_job: int) -> None:
        """Args as in ``conf/hydra/launcher/ray.yaml``."""
        self._address, self._num_cpus, self._cpus_per_job = address, num_cpus, cpus_per_job
        self._context: HydraContext
        self._task: TaskFunction
        self._config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands over before ``launch``."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a job for each list of overrides, as many at once as the cluster has cores for.

        Returns:
            What the jobs returned, in the order of the overrides.
        """
        setup_globals()
        Path(str(self._config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        from agents.ray_cluster import connect_ray  # here: every command imports Hydra's plugins, and few need Ray

        ray = connect_ray(self._address or "local", None if self._address else self._num_cpus)
        try:
            run = ray.remote(num_cpus=self._cpus_per_job, max_retries=0)(_job)
            common = ray.put((self._context, self._config, self._task, Singleton.get_state(), os.getcwd()))
            jobs = [run.remote(initial_job_idx + i, list(each), common) for i, each in enumerate(job_overrides)]
            return list(ray.get(jobs))
        finally:
            ray.shutdown()


def _job(index: int, overrides: list[str], common: tuple[Any, ...]) -> JobReturn:
    """One job, in a worker of the cluster."""
    context, config, task, singletons, folder = common
    os.chdir(folder)  # relative paths of the config are relative to where the sweep was started
    setup_globals()
    Singleton.set_state(singletons)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = f"{job.hydra.job.name}_{index}"
        job.hydra.job.num = index
    HydraConfig.instance().set_config(job)
    try:
        return run_job(
            hydra_context=context,
            config=job,
            task_function=task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except SystemExit as stopped:  # a user's mistake; Ray would take a worker that exits for one that crashed
        return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=stopped)
