"""Is our sequence model as good as a well-kept library's? ``python -m experiments.offline_check FOLDER [overrides]``.

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

import numpy as np
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from safetensors.numpy import load_file, save_file

from agents.events import Events
from experiments.compare import check_study
from experiments.pipeline import burn_in, cluster
from experiments.study import Study, build_agent
from sim.arrays import FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.files import write_json
from sim.log import InteractionLog
from sim.platform import Platform, Requests
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
class Split:
    """What is learned from, and what is asked afterwards.

    Attributes:
        train: the log up to the first held-out day.
        liked: positives of the U users from then on, on items alive on that day; each pair once.
        requests: what the U users would ask on the first held-out day; nothing is excluded.
    """

    train: InteractionLog
    liked: InteractionLog
    requests: Requests


def split(log: InteractionLog, platform: Platform, history: int) -> Split:
    """Cut a log at the platform's day.

    Args:
        log: with days before and from ``platform.day``.
        platform: as it is on the first held-out day.
        history: consumed items in a request.
    """
    train = log.where(log.day < platform.day)
    liked = log.where((log.day >= platform.day) & log.positive & np.isin(log.item, platform.live_items()))
    liked = liked.where(np.isin(liked.user, train.user[train.positive]))
    _, first = np.unique(np.stack([liked.user, liked.item]), axis=1, return_index=True)
    liked = liked.where(np.sort(first))
    user = np.unique(liked.user)
    events = Events.of(train)
    rows = events.windows(user, np.searchsorted(events.user, user, side="right"), history)
    items = np.where(rows >= 0, events.item[rows], -1)
    requests = Requests(
        user=user,
        day=platform.day,
        items=items,
        clusters=np.where(rows >= 0, platform.cluster_of_item[items], -1).astype(np.int32),
        watch=np.where(rows >= 0, events.watch[rows], 0).astype(np.float32),
        positive=(rows >= 0) & events.positive[rows],
        exclude=np.full((len(user), 1), -1),
        num_slots=TOP,
    )
    return Split(train, liked, requests)


def recall(top: IntArray, user: IntArray, liked: InteractionLog) -> FloatArray:
    """Share of what each user liked that is among their ``TOP``, at best 1: hits / min(TOP, number liked).

    Args:
        top: (U, TOP) int64, distinct in a row.
        user: (U,) ascending; each liked something.
        liked: distinct pairs of user and item.

    Returns:
        (U,) float64.
    """
    row = np.searchsorted(user, liked.user)
    hit = (top[row] == liked.item[:, None]).any(axis=1)
    num_liked = np.bincount(row, minlength=len(user))
    return np.asarray(np.bincount(row, weights=hit, minlength=len(user)) / np.minimum(num_liked, TOP))


def interval(values: FloatArray, generator: np.random.Generator) -> dict[str, float]:
    """The mean over users, and the middle 95 % of its bootstrap over users."""
    means = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(values.mean()), "low": float(low), "high": float(high), "n": len(values)}


def top_of(config: dict[str, Any], parts: Split, platform: Platform) -> IntArray:
    """Train an agent on the split and ask it for the users' best items, (U, TOP)."""
    agent = build_agent({**config, "exploration": 0.0}, "checked")
    agent.fit(platform, parts.train, RandomStream(0, "offline", "fit"))
    return agent.recommend(parts.requests, RandomStream(0, "offline", "recommend")).items


def top_of_library(python: str, parts: Split, platform: Platform, folder: Path) -> list[IntArray]:
    """The same from RecTools' SASRec, run by another environment's Python, (U, TOP) for each number of epochs."""
    liked = parts.train.where(parts.train.positive)
    save_file(
        {"user": liked.user, "item": liked.item, "asked": np.array(parts.requests.user), "live": platform.live_items()},
        folder / "split.safetensors",
    )
    script = Path(__file__).with_name("library_sasrec.py")
    # -P keeps this folder, whose module names shadow the standard library's, off the import path.
    subprocess.run([python, "-P", str(script), str(folder)], check=True)
    return list(load_file(folder / "library.safetensors").values())


def on_first_held_out_day(study: Study) -> tuple[Platform, InteractionLog]:
    """The platform on the first held-out day of the study's burn-in, and the whole log."""
    before = burn_in(study)
    clustered = cluster(study, before)
    world = study.build_world()
    world.load(before.folder / "state")
    log = InteractionLog.read(clustered.folder / "log.parquet")
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    records = study.build_records(world, clusters)
    records.begin_day(study.experiment.burn_in_days - HELD_OUT_DAYS, world.catalog)
    return Platform(records), log


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
    platform, log = on_first_held_out_day(study)
    parts = split(log, platform, study.world.platform.history_length)
    user, recalls, library = parts.requests.user, {}, None
    if library_python is not None:  # first, since it is what may be missing
        library = _best(
            [recall(top, user, parts.liked) for top in top_of_library(library_python, parts, platform, folder)]
        )
    for name, tried in _CONTESTANTS.items():
        configs: list[dict[str, Any]] = [{**agents[name], **options} for _, options in tried]  # type: ignore[dict-item]
        recalls[name] = _best([recall(top_of(config, parts, platform), user, parts.liked) for config in configs])
    generator = RandomStream(study.seed, "offline", "bootstrap").generator()
    results: dict[str, Any] = {"recall@10": {name: interval(values, generator) for name, values in recalls.items()}}
    if library is not None:
        results["recall@10"]["SASRec of RecTools"] = interval(library, generator)
        results["above the library"] = {name: interval(each - library, generator) for name, each in recalls.items()}
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
