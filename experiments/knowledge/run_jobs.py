"""The jobs of a test of knowledge, some of them side by side."""

from tqdm import tqdm

from agents.processes import side_by_side
from experiments.knowledge.jobs import Job
from experiments.stages.stages import Stage
from experiments.study.study import Runtime


def run_jobs(jobs: list[Job], runtime: Runtime) -> dict[Job, Stage]:
    """Run all jobs, ``runtime.workers`` at a time; the bar counts fine-tuning steps."""
    made = {job: job.run() for job in jobs if job.folder.is_dir()}
    missing = {job: job.run for job in jobs if job not in made}
    finished: list[Job] = []
    with tqdm(total=sum(job.steps for job in missing), desc="fine-tuning", unit="step", dynamic_ncols=True) as bar:

        def look(running: list[Job]) -> None:
            done = sum(job.steps for job in finished) + sum(job.steps_done() for job in running)
            bar.set_postfix_str(f"{len(finished)} of {len(missing)} jobs done", refresh=False)
            bar.update(done - bar.n)

        for job, stage in side_by_side(missing, runtime.workers, runtime.backend, watch=look):
            made[job] = stage
            finished.append(job)
            look([])
    return made
