"""Tables made in parts: a share of the shards, or the changed rows of an earlier table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.llm.bulk import fill_share
from agents.llm.past_tables import FromLog, fill_table
from agents.llm.refresh import table_digest
from agents.llm.settings import LLMSettings
from agents.llm.triples import open_table
from experiments.llm.stages import TableMade, make_table, plan_table, table_config, table_stream
from experiments.llm.table_facts import MADE, facts_of, read_clustered, refresh_facts, table_kind
from experiments.stages.stages import Stage, partial_folder, run_stage, stage_digest, stage_folder
from experiments.study.study import Study
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json


def share_table(study: Study, settings: LLMSettings, clustered: Stage, share: tuple[int, int]) -> bool:
    """Compute share (i, n) of the table's shards (``agents.llm.bulk.fill_share``) in the stage's own folder.

    Returns:
        Whether ``make_table``, which has the same arguments and errors, finds nothing left to compute.

    Raises:
        InvalidInput: a table that is not of plain pairs.
    """
    if settings.engine != "transformers" or settings.past_clusters != 2 or settings.successor_hint:
        expected = "must be null unless llm.engine=transformers, llm.past_clusters=2 and llm.successor_hint=false"
        raise InvalidInput("shard", f"{share[0]}/{share[1]}", expected)
    plan = plan_table(study, settings, clustered)
    digest = stage_digest("table", plan.config, plan.inputs, make_table.__module__)
    folder = stage_folder(study.cache_dir, "table", digest)
    if folder.is_dir():
        return True
    partial = partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    clusters, _ = read_clustered(clustered)
    try:
        whole = fill_share(
            plan.model,
            clusters,
            settings,
            partial / "table",
            plan.stream,
            share,
            study.runtime.workers,
            study.runtime.backend,
        )
    except FileNotFoundError:  # the folder was renamed meanwhile: another process has made the table
        if not folder.is_dir():
            raise
        return True
    return whole or folder.is_dir()


def refresh_table(
    study: Study, settings: LLMSettings, before: Stage, clustered: Stage, source: str | None
) -> TableMade:
    """Make the table for today's clusters and log out of an earlier one of the same weights.

    Args:
        study, settings, clustered: as for ``make_table``.
        before: the burn-in, for the items that tell clusters under new texts from new clusters.
        source: the earlier table's folder; None = the newest in the cache that was made of the same world and
            settings with an older (or other) log.

    Raises:
        InvalidInput: there is none, its stages are no longer in the cache, or it is of another kind.
    """
    if settings.engine != "transformers":
        raise InvalidInput("refresh", source or True, "must be false unless llm.engine=transformers")
    stage = _newest(study, settings, clustered) if source is None else _stage_of(Path(source))
    made = json.loads((stage / MADE).read_text())
    stages = study.cache_dir / "stages"
    tuned = Stage(stages / made["finetune"]["stage"], made["finetune"]["digest"], 0.0, cached=True)
    model = tuned.folder / "run" / "model"
    if not model.is_dir():
        raise InvalidInput("refresh", str(stage), f"must be of a model that is still in the cache, in {model}")
    earlier = open_table(stage / "table")

    def fill(folder: Path) -> None:
        clusters, log = read_clustered(clustered)
        facts = facts_of(study, settings, clusters, log)
        old = stages / made["clusters"]["stage"] / "clusters.safetensors"
        if old.is_file():
            facts = _with_filings(study, before, facts, InterestClusters.load(old), clusters)
        fill_table(
            model,
            clusters,
            settings,
            folder / "table",
            table_stream(study),
            study.runtime.workers,
            study.runtime.backend,
            from_log=facts,
            earlier=earlier,
        )
        write_json(folder / MADE, refresh_facts(study, settings, clustered, tuned))

    table = run_stage(
        study.cache_dir,
        "table",
        fill,
        config={**table_config(study, settings), "refreshed_from": table_digest(earlier)},
        inputs=[clustered.digest, tuned.digest],
    )
    return TableMade(tuned, table)


def _with_filings(study: Study, before: Stage, facts: FromLog, old: InterestClusters, new: InterestClusters) -> FromLog:
    """The facts, with how old and new clusters file the items of the burn-in's end."""
    world = study.build_world()
    world.load(before.folder / "state")
    embedding = world.catalog.embedding
    return replace(facts, filings=(old.file(embedding)[:, 1], new.file(embedding)[:, 1]))


def _newest(study: Study, settings: LLMSettings, clustered: Stage) -> Path:
    kind, candidates = table_kind(study, settings), []
    for path in (study.cache_dir / "stages").glob(f"table-*/{MADE}"):
        made: dict[str, Any] = json.loads(path.read_text())
        if made["kind"] == kind and made["clusters"]["digest"] != clustered.digest:
            candidates.append((path.stat().st_mtime_ns, path.parent))
    if not candidates:
        expected = (
            "found no earlier table of the same world and settings with another log in the cache: make one with "
            "`interestlab table`, or give an earlier table's folder"
        )
        raise InvalidInput("refresh", True, expected)
    return max(candidates)[1]


def _stage_of(table: Path) -> Path:
    if not (table / "manifest.json").is_file() or not (table.parent / MADE).is_file():
        raise InvalidInput("refresh", str(table), "must be the folder of a table that `interestlab table` has made")
    return table.parent
