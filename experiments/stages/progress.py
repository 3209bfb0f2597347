"""Jobs side by side under a progress bar."""

from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from agents.processes import Job, Key, Result, side_by_side


def with_bar(
    jobs: Mapping[Key, Job[Result]],
    workers: int,
    backend: str,
    title: str,
    unit: str,
    shown: Callable[[Any], str] = str,
) -> dict[Key, Result]:
    """What all jobs (``agents.processes.side_by_side``) gave, in their order; ``shown`` names the one finished last."""
    results = {}
    with tqdm(total=len(jobs), desc=title, unit=unit, dynamic_ncols=True) as bar:
        for key, result in side_by_side(jobs, workers, backend):
            results[key] = result
            bar.set_postfix_str(shown(key), refresh=False)
            bar.update()
    return {key: results[key] for key in jobs}
