"""Every agent's recommendation lists, each a cached stage: trained on a log, asked at the start of the next day.

An agent is asked once for a slate of k slots a user, which is its ranking of items. With ``exploration`` set
to 0 wherever its config has it, a slot is the best item left, and the slate a ranking. What else it draws (a
pair of past clusters to look up, a random cluster) it draws once a user, as when it serves: its measures are
means over these draws, too. Its ranking of clusters is the plan, where a planner made one (a cluster a slot),
and else the clusters of its items, each where it comes first: a slate that repeats itself names fewer.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from agents.base import Agent
from agents.check import validate
from agents.making import build_agent
from experiments.datasets.dataset import LoggedDataset
from experiments.offline.replay import replay
from experiments.offline.split import Split
from experiments.plugins import outside_digests
from experiments.stages.stages import Stage, run_stage, stage_digest, stage_folder
from experiments.study.study import Study, portable
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.files import folder_written_whole
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream

_BATCH = 1024  # users asked at a time


@dataclass(frozen=True)
class Lists:
    """An agent's lists for U users.

    Attributes:
        items: (U, k) int64, best first.
        clusters: (U, k) int32, distinct in a row, best first, -1 pads.
        planned: whether a planner chose the clusters.
    """

    items: IntArray
    clusters: IntArray
    planned: bool


def greedy(config: Any) -> Any:
    """An agent's config with ``exploration`` 0 wherever it stands, also in its ranker's."""
    if isinstance(config, Mapping):
        return {key: 0.0 if key == "exploration" else greedy(value) for key, value in config.items()}
    return [greedy(value) for value in config] if isinstance(config, list) else config


def history_stage(study: Study, parts: Split, digest: str) -> Stage:
    """The training data, as a data set's folder, and the users to ask: the input of all later stages.

    ``digest`` is that of the data set that was split.
    """

    def make(folder: Path) -> None:
        parts.history.write(folder)
        start = {"asked": parts.asked, "cluster_of_item": parts.cluster_of_item, "day": np.array([parts.day])}
        save_file(start, folder / "morning.safetensors")

    config = {"day": parts.day, "name": parts.history.name, "source": parts.history.source}
    return run_stage(study.cache_dir, "offline-history", make, config=config, inputs=[digest])


def start_of_day(study: Study, history: Stage, exclude_seen: bool) -> tuple[PlatformRecords, LoggedDataset, IntArray]:
    """The platform's records at the start of the first held-out day, the training data, and the asked users (U,)."""
    dataset = LoggedDataset.read(history.folder)
    start = load_file(history.folder / "morning.safetensors")
    memory, day = study.world.platform, int(start["day"][0])
    records = replay(dataset, start["cluster_of_item"], day, memory, exclude_seen)
    return records, dataset, start["asked"]


def production_stage(study: Study, history: Stage, exclude_seen: bool) -> Stage:
    """Production, trained on the training data: hierarchical agents rank with its model."""

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        records, dataset, _ = start_of_day(study, history, exclude_seen)
        production = build_agent(study.production, "production")
        production.fit(Platform(records), dataset.log, _stream(study).at("fit"))
        with folder_written_whole(folder / "production") as unfinished:
            production.save(unfinished)

    config = _config(study, study.production, exclude_seen)
    return run_stage(study.cache_dir, "offline-production", make, config=config, inputs=[history.digest])


@dataclass(frozen=True)
class ListStages:
    """The inputs of agents' lists; small enough to send to a worker.

    Attributes:
        study: with the agents' configs, their tables' folders filled in.
        history, production: the stages.
        inputs: of each agent, digests of further stages that it reads, such as the language model's table.
        exclude_seen: see ``replay``.
        top_k: k.
    """

    study: Study
    history: Stage
    production: Stage
    inputs: Mapping[str, list[str]]
    exclude_seen: bool
    top_k: int

    def stage(self, name: str) -> Stage:
        """Train an agent and ask it for its lists, unless that has been done.

        Raises:
            InvalidInput: the agent cannot be made, or breaks the contract.
        """
        config, digests = self._rests_on(name)
        make = partial(self._make, name)
        return run_stage(self.study.cache_dir, f"offline-{name}", make, config=config, inputs=digests)

    def is_done(self, name: str) -> bool:
        """Whether the agent's lists are in the cache."""
        stage = f"offline-{name}"
        return stage_folder(self.study.cache_dir, stage, stage_digest(stage, *self._rests_on(name), __name__)).is_dir()

    def _rests_on(self, name: str) -> tuple[dict[str, Any], list[str]]:
        config = portable(greedy(self.study.agents[name]))
        of_agent = {**_config(self.study, config, self.exclude_seen), "top_k": self.top_k}
        return of_agent, [self.history.digest, self.production.digest, *self.inputs.get(name, [])]

    def _make(self, name: str, folder: Path) -> None:
        torch.set_num_threads(1)
        study = self.study
        records, dataset, asked = start_of_day(study, self.history, self.exclude_seen)
        platform = Platform(records)
        production = build_agent(study.production, "production")
        production.load(self.production.folder / "production", platform)
        agent = build_agent(greedy(study.agents[name]), name)
        agent.bind(production)
        agent.fit(platform, dataset.log, _stream(study).at("fit"))
        slates = recommended_lists(agent, name, records, asked, self.top_k, _stream(study).at("ask"))
        arrays = {name: np.ascontiguousarray(getattr(slates, name)) for name in ("items", "clusters")}
        save_file({**arrays, "planned": np.array([slates.planned])}, folder / "answers.safetensors")


def recommended_lists(
    agent: Agent,
    name: str,
    records: PlatformRecords,
    asked: IntArray,
    top_k: int,
    stream: RandomStream,
    batch: int = _BATCH,
) -> Lists:
    """Ask a trained agent for users' (U,) slates; they do not depend on ``batch``.

    Raises:
        InvalidInput: a slate breaks the contract of ``Recommendations``, or only some slates have a plan.
    """
    platform, parts = Platform(records), []
    for start in range(0, len(asked), batch):
        requests = records.requests(asked[start : start + batch], top_k)
        slates = agent.recommend(requests, stream)
        validate(slates, requests, platform, name, agent)
        parts.append(slates)
    plans = [slates.cluster for slates in parts if slates.cluster is not None]
    if plans and len(plans) < len(parts):
        raise InvalidInput(f"agent {name}", None, "must plan clusters in every call of recommend, or in none")
    items = np.concatenate([slates.items for slates in parts])
    clusters = np.concatenate(plans) if plans else records.cluster_of_item[items]
    return Lists(items, distinct(clusters.astype(np.int32)), bool(plans))


def distinct(clusters: IntArray) -> IntArray:
    """Each row's (U, k) clusters where they come first, moved to the left; -1 pads."""
    order = np.argsort(clusters, axis=1, kind="stable")
    ordered = np.take_along_axis(clusters, order, axis=1)
    again = np.zeros(clusters.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    again |= clusters < 0
    front = np.argsort(again, axis=1, kind="stable")
    return np.where(np.take_along_axis(again, front, axis=1), -1, np.take_along_axis(clusters, front, axis=1))


def read_lists(stage: Stage) -> Lists:
    """The lists in an agent's stage."""
    kept = load_file(stage.folder / "answers.safetensors")
    return Lists(kept["items"], kept["clusters"], bool(kept["planned"][0]))


def _stream(study: Study) -> RandomStream:
    """The random stream that all agents share (common random numbers)."""
    return RandomStream(study.seed, "offline")


def _config(study: Study, agent: Any, exclude_seen: bool) -> dict[str, Any]:
    """The config that lists depend on, without earlier stages."""
    return {
        "seed": study.seed,
        "agent": agent,
        "plugins": outside_digests(agent),
        "memory": asdict(study.world.platform),
        "exclude_seen": exclude_seen,
    }
