"""``interestlab offline``: which item, which cluster, which new cluster next? Agents asked about a log's last days.

Recall on a log is biased towards agents that imitate its recommender: items that were never shown cannot be hits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from omegaconf import DictConfig

from agents.llm.settings import LLMSettings
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.simulated import burn_in_dataset
from experiments.live.prepare import check_runnable
from experiments.llm import arms as llm_arms
from experiments.measures.results import plain
from experiments.offline.all_lists import all_lists
from experiments.offline.lists import history_stage, start_of_day
from experiments.offline.outcome import Past, measured
from experiments.offline.page import write_offline
from experiments.offline.schema import OfflineResults
from experiments.offline.split import Split, dataset_digest, split
from experiments.offline.tasks import Task, tasks_of
from experiments.plugins import installed
from experiments.stages.stages import Stage
from experiments.study.described import described
from experiments.study.protocol import ALL
from experiments.study.study import TABLE_PLANNERS, Study, check_study, resolved
from sim.errors import InvalidInput
from sim.files import write_json
from sim.platform import Platform
from sim.random import RandomStream
from sim.records import Count, Different, Expected, from_mapping, limits, record

_ORACLES = "experiments.oracles."
"""Where planners are that see latent state."""
_NO_ORACLE = "plans from latent state, which no log holds"
_NO_TABLE = "needs a language model's table; name it in offline.agents to have one made from the days before"
_PLUGIN = "comes from another package; name it in offline.agents to have it asked"


@record
@dataclass(frozen=True)
class OfflineConfig:
    """``offline`` of conf/offline.yaml, which says what each entry means, checked."""

    dataset: Annotated[str | None, Expected("must be a folder, or null")]
    held_out_days: Count
    top_k: Count
    agents: Annotated[
        tuple[str, ...],
        MinLen(1),
        Different,
        Expected("must be all, or a list of agents, each once: [popular,counts]"),
    ]
    reference: str
    exclude_seen: bool
    resamples: Annotated[int, limits(100)]


def check_offline(mapping: Any, known: Mapping[str, Any]) -> OfflineConfig:
    """Check the settings against the config's agents by name, or raise ``InvalidInput``.

    ``all`` are interestlab's agents and those that the config adds under names of its own, but for planners that read a
    language model's table: an installed plugin that fails must not end a run that did not name it.
    """
    usable = [name for name, agent in known.items() if not _planner(agent).startswith(_ORACLES)]
    if isinstance(mapping, Mapping) and mapping.get("agents") == ALL:
        plugins = {name for name, plugin in installed().items() if not plugin.fault}  # a fault may be that ours has it
        own = [name for name in usable if name not in plugins]
        mapping = {**mapping, "agents": [name for name in own if _planner(known[name]) not in TABLE_PLANNERS]}
    offline = from_mapping(OfflineConfig, mapping, "offline")
    for name in offline.agents:
        if name in known and name not in usable:
            raise InvalidInput("offline.agents", name, f"cannot be asked: {_NO_ORACLE}")
        if name not in known:
            raise InvalidInput("offline.agents", name, f"unknown agent; known are {', '.join(usable)}")
    if offline.reference not in offline.agents:
        raise InvalidInput("offline.reference", offline.reference, f"must be one of {', '.join(offline.agents)}")
    return offline


def _planner(agent: Mapping[str, Any]) -> str:
    return str(llm_arms.planner_of(agent).get("_target_"))


def _why_not(agent: Mapping[str, Any]) -> str:
    """Why ``all`` leaves an agent out, if it does."""
    if _planner(agent).startswith(_ORACLES):
        return _NO_ORACLE
    return _NO_TABLE if _planner(agent) in TABLE_PLANNERS else _PLUGIN


@dataclass(frozen=True)
class Plan:
    """The plan of a run, checked before it starts.

    Attributes:
        study: with the agents that are asked.
        settings: of the language model, for those that read its table.
        offline: the command's own settings.
        left_out: agent -> why it is not asked.
    """

    study: Study
    settings: dict[str, LLMSettings]
    offline: OfflineConfig
    left_out: dict[str, str]


def check_plan(config: DictConfig) -> Plan:
    """Check all inputs before the burn-in, and raise ``InvalidInput``."""
    study = check_study(config)
    known, settings = resolved(config.agents, "agents"), resolved(config.offline, "offline")
    offline = check_offline(settings, known)
    study = replace(study, agents={name: known[name] for name in offline.agents})
    reasons = {name: _why_not(agent) for name, agent in known.items()}
    named = offline.agents if settings["agents"] != ALL else ()
    left_out = {name: reason for name, reason in reasons.items() if name not in offline.agents and not named}
    return Plan(study, check_runnable(study, config), offline, left_out)


def offline(config: DictConfig, folder: Path) -> Path:
    """Ask every agent, and write offline.html, .json, .md and the figures into ``folder``.

    Returns:
        The path of offline.html.

    Raises:
        InvalidInput: as ``offline_results``.
    """
    results = offline_results(config)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "offline.json", results)
    return write_offline(results, folder)


def offline_results(config: DictConfig) -> OfflineResults:
    """Ask every agent: what offline.json holds.

    Raises:
        InvalidInput: a setting is wrong, weights are missing, or the data set cannot be read or asked about.
    """
    plan = check_plan(config)
    study, settings = plan.study, plan.offline
    if settings.dataset is None:
        dataset = burn_in_dataset(study)
    else:
        dataset = LoggedDataset.read(Path(settings.dataset).expanduser())
    parts = split(dataset, settings.held_out_days)
    history = history_stage(study, parts, dataset_digest(dataset))
    tasks, past = _questions(study, settings, parts, history)
    made = llm_arms.make_tables(study, plan.settings, history)
    study = llm_arms.with_tables(study, made)
    lists = all_lists(study, history, llm_arms.inputs_of(made), settings.exclude_seen, settings.top_k)
    stream = RandomStream(study.seed, "offline", "bootstrap")
    results: OfflineResults = {
        "config": described(config, settings.agents),
        "offline": {
            "held_out_days": settings.held_out_days,
            "top_k": settings.top_k,
            "reference": settings.reference,
            "exclude_seen": settings.exclude_seen,
        },
        "dataset": _facts(dataset, parts),
        "users": dict(parts.users),
        "left_out_agents": plan.left_out,
        "tasks": measured(lists, tasks, past, settings.reference, stream, settings.resamples),
    }
    rounded: OfflineResults = plain(results)
    return rounded


def _questions(study: Study, settings: OfflineConfig, parts: Split, history: Stage) -> tuple[dict[str, Task], Past]:
    """The tasks, and what measures need of the days before; ``InvalidInput`` if there is less to choose from."""
    records, _, asked = start_of_day(study, history, settings.exclude_seen)
    platform = Platform(records)
    tasks = tasks_of(parts, platform, records.requests(asked, settings.top_k))
    fewest = min(int(tasks["next_item"].num_candidates.min()), platform.clusters.num_clusters)
    if settings.top_k > fewest:
        expected = f"must be at most {fewest}, the clusters there are or the items that some user has left to be shown"
        raise InvalidInput("offline.top_k", settings.top_k, expected)
    return tasks, Past.of(parts, platform)


def _facts(dataset: LoggedDataset, parts: Split) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "source": dataset.source,
        "num_users": dataset.num_users,
        "num_items": dataset.catalog.num_items,
        "num_clusters": dataset.clusters.num_clusters,
        "num_impressions": len(dataset.log),
        "num_impressions_before": len(parts.history.log),
        "first_day": int(dataset.log.day[0]),
        "last_day": int(dataset.log.day[-1]),
        "split_day": parts.day,
        "left_out": dict(dataset.left_out),
        "sha256": dataset_digest(dataset),
    }


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {offline(config, folder).resolve()}")
