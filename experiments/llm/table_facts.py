"""What a language model's table depends on in addition to the model: the log, and the stages before it."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from agents.llm.past_tables import FromLog
from agents.llm.settings import LLMSettings
from agents.llm.triples import recent_triples
from agents.transitions import novel_transitions, recent_successors
from experiments.stages.stages import Stage, world_content
from experiments.study.study import Study
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from sim.random import RandomStream

MADE = "made.json"
"""File of a table's stage with what a later refresh reads."""

_HINT_DAYS = 7
"""How far back a pair's most frequent recent successor is looked for, days (chosen)."""


def read_clustered(clustered: Stage) -> tuple[InterestClusters, InteractionLog]:
    """The clusters, and the burn-in log filed under them."""
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    return clusters, InteractionLog.read(clustered.folder / "log.parquet")


def facts_of(study: Study, settings: LLMSettings, clusters: InterestClusters, log: InteractionLog) -> FromLog:
    """The inputs of a table that come from the log, in addition to the clusters."""
    memory, num = study.world.platform, clusters.num_clusters
    stream = RandomStream(study.seed, "llm")
    if settings.successor_hint:
        transitions = novel_transitions(log, stream.at("transitions"), memory.history_days, memory.history_length)
        return FromLog(successor=recent_successors(transitions, num, _HINT_DAYS, stream.at("successors")))
    if settings.past_clusters == 3:
        keys, users = recent_triples(log, num, memory.history_days, memory.history_length, stream.at("triples"))
        enough = users >= settings.triple_min_users
        return FromLog(triples=keys[enough], coverage=float(users[enough].sum() / max(users.sum(), 1)))
    return FromLog()


def refresh_facts(study: Study, settings: LLMSettings, clustered: Stage, tuned: Stage) -> dict[str, Any]:
    """What a later refresh reads of a table: its stages, and the kind of table."""
    return {
        "kind": table_kind(study, settings),
        "clusters": {"stage": clustered.folder.name, "digest": clustered.digest},
        "finetune": {"stage": tuned.folder.name, "digest": tuned.digest},
    }


def table_kind(study: Study, settings: LLMSettings) -> str:
    """A hash of all that tables have in common of which one can be refreshed to become the other."""
    content = [study.seed, world_content(study.world), study.production, study.experiment.slots, asdict(settings)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
