"""Is our sequence model as good as a well-kept library's? ``python -m records.offline_check FOLDER [overrides]``.

Recall@10 on what users liked next, in the last days of a burn-in log: ours against RecTools' SASRec
(Kang and McAuley 2018) on the same log, split and candidates. RecTools needs an environment of its
own (it pins numpy below 2); give its Python as ``--library-python PATH``, see ``library_sasrec.py``.

Recall on a log flatters whoever imitates the recommender that made it: what that one did not show
cannot be a hit. It checks that the model and its training work; what a recommender is worth, the
closed loop tells.
"""

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from safetensors.numpy import load_file, save_file

from agents.making import build_agent
from experiments.datasets.simulated import burn_in_dataset
from experiments.offline.intervals import means
from experiments.offline.lists import greedy, recommended_lists
from experiments.offline.measures import accuracy
from experiments.offline.replay import replay
from experiments.offline.split import split
from experiments.offline.tasks import Task, tasks_of
from experiments.study.study import Study, check_study
from sim.arrays import FloatArray, IntArray
from sim.files import write_json
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream

TOP = 10
HELD_OUT_DAYS = 2
_EPOCHS = (3, 8)  # passes over the log; as for the library's, the better count
_RESAMPLES = 2000  # of users
_AS_LOGGED = {"_target_": "agents.objectives.CrossEntropy", "logq_correction": 1.0}  # as the library's loss
_TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "two_tower": ("two_tower", {}),
    "sequence": ("sequence", {}),
    "sequence, logQ in full": ("sequence", {"objective": _AS_LOGGED}),
    "logistic": ("logistic", {}),
}
_CONTESTANTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "popular": [("popular", {})],
    **{name: [(agent, {**options, "epochs": n}) for n in _EPOCHS] for name, (agent, options) in _TRAINED.items()},
}


@dataclass(frozen=True)
class Checked:
    """What models learn from, and what they are asked (``experiments.offline``).

    Attributes:
        history: the log up to the first held-out day.
        records: the platform on the first held-out morning; nothing is excluded.
        asked: (U,) int64, the users who are asked.
        task: the next items.
    """

    history: InteractionLog
    records: PlatformRecords
    asked: IntArray
    task: Task


def checked(study: Study) -> Checked:
    """The last days of the study's burn-in held out, as ``interestlab offline`` does."""
    parts = split(burn_in_dataset(study), HELD_OUT_DAYS)
    records = replay(parts.history, parts.cluster_of_item, parts.day, study.world.platform, exclude_seen=False)
    tasks = tasks_of(parts, Platform(records), records.requests(parts.asked, TOP))
    return Checked(parts.history.log, records, parts.asked, tasks["next_item"])


def recall(top: IntArray, parts: Checked) -> FloatArray:
    """Recall (``measures.accuracy``) of lists (U, TOP), for the users who have a target."""
    return accuracy(top, parts.task)["recall"]


def interval(values: FloatArray, stream: RandomStream) -> dict[str, float]:
    """The mean over users, and the middle 95 % of its bootstrap over users."""
    (mean,) = means(values[:, None], stream, _RESAMPLES)
    low, high = mean.interval()
    return {"value": mean.value, "low": low, "high": high, "n": len(values)}


def top_of(config: dict[str, Any], parts: Checked) -> IntArray:
    """Train an agent on the split and recommended_lists it for the users' best items, (U, TOP)."""
    agent = build_agent(greedy(config), "checked")
    agent.fit(Platform(parts.records), parts.history, RandomStream(0, "offline", "fit"))
    return recommended_lists(
        agent, "checked", parts.records, parts.asked, TOP, RandomStream(0, "offline", "recommend")
    ).items


def top_of_library(python: str, parts: Checked, folder: Path) -> list[IntArray]:
    """The same from RecTools' SASRec, run by another environment's Python, (U, TOP) for each number of epochs."""
    liked = parts.history.where(parts.history.positive)
    live = Platform(parts.records).live_items()
    save_file(
        {"user": liked.user, "item": liked.item, "asked": parts.asked, "live": live}, folder / "split.safetensors"
    )
    script = Path(__file__).with_name("library_sasrec.py")
    # -P keeps this folder, whose module names shadow the standard library's, off the import path.
    subprocess.run([python, "-P", str(script), str(folder)], check=True)
    return list(load_file(folder / "library.safetensors").values())


def check(overrides: list[str], folder: Path, library_python: str | None) -> dict[str, Any]:
    """Run the check; see the module. Results are also written to ``folder/offline_check.json``."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    with initialize_config_module("conf", version_base="1.3"):
        given = [*overrides, f"hydra.run.dir={folder}"]
        study = check_study(compose("compare", overrides=given))
        agents = {
            name: OmegaConf.to_container(compose(overrides=[f"+agent={tried[0][0]}"]).agent, resolve=True)
            for name, tried in _CONTESTANTS.items()
        }
    parts = checked(study)
    recalls, library = {}, None
    if library_python is not None:  # first, since it is what may be missing
        library = _best([recall(top, parts) for top in top_of_library(library_python, parts, folder)])
    for name, tried in _CONTESTANTS.items():
        configs: list[dict[str, Any]] = [{**agents[name], **options} for _, options in tried]  # type: ignore[dict-item]
        recalls[name] = _best([recall(top_of(config, parts), parts) for config in configs])
    stream = RandomStream(study.seed, "offline", "bootstrap")
    results: dict[str, Any] = {"recall@10": {name: interval(values, stream) for name, values in recalls.items()}}
    if library is not None:
        results["recall@10"]["SASRec of RecTools"] = interval(library, stream)
        results["above the library"] = {name: interval(each - library, stream) for name, each in recalls.items()}
    write_json(folder / "offline_check.json", results)
    return results


def _best(tried: list[FloatArray]) -> FloatArray:
    """The users' recalls (U,) whose mean is largest."""
    return max(tried, key=lambda recalls: float(recalls.mean()))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where results go")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of conf/compare.yaml")
    parser.add_argument("--library-python", help="Python of an environment with RecTools; left out without it")
    arguments = parser.parse_args()
    for title, rows in check(arguments.overrides, arguments.folder, arguments.library_python).items():
        for name, row in rows.items():
            print(f"{title:18} {name:20} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}] n={row['n']}")


if __name__ == "__main__":
    main()
