"""Tables for one, two or three past clusters, with or without hints, filled whole or refreshed.

The plain table of all pairs is ``agents.llm.bulk``'s; what is here scores prompts one by one.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.any_prompts import Prompts, PromptWork
from agents.llm.bulk import (
    PRIOR_PAIRS,
    encoder_similarity,
    fill_table,
    pair_work,
    table_cost,
    table_inputs,
    top_labels,
    unfinished_folder,
)
from agents.llm.model import check_context, load_tokenizer
from agents.llm.prompt import PromptTokens, template, tokenise_more
from agents.llm.refresh import Filings, PartialTable, table_digest
from agents.llm.settings import LLMSettings
from agents.llm.shards import fill_shards, read_shards
from agents.llm.table import TransitionTable, label_skew
from agents.llm.triples import TripleTable, open_table, triples_of
from sim.arrays import IntArray
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.random import RandomStream

Table = TransitionTable | TripleTable


@dataclass(frozen=True)
class FromLog:
    """What of the log a table rests on, beside the clusters.

    Attributes:
        successor: (M, M) int32, see ``agents.transitions.recent_successors``; where prompts have hints.
        triples: (T,) int64 keys, ascending, see ``agents.llm.triples.recent_triples``; where K = 3.
        coverage: what share of users' recent triples are these.
        filings: the old and new clusters of items, see ``match_clusters``; where a table is refreshed
            and items are known.
    """

    successor: IntArray | None = None
    triples: IntArray | None = None
    coverage: float | None = None
    filings: Filings | None = None


def fill_past_table(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    workers: int = 1,
    backend: str = "loky",
    from_log: FromLog | None = None,
    earlier: Table | None = None,
) -> Table:
    """Make the table of the kind that ``settings`` ask for, or go on with it.

    Args:
        weights, clusters, folder, rng, workers, backend: as for ``agents.llm.bulk.fill_table``, which makes the
            table of pairs without hints.
        settings: beside what ``fill_table`` uses, ``past_clusters`` and ``successor_hint``.
        from_log: the hints or triples, where there are any.
        earlier: a table of the same kind, of other clusters or an older log, to keep rows of; see
            ``agents.llm.refresh`` for what these are then worth. None = compute all.

    Raises:
        InvalidInput: too few clusters; the folder holds a damaged table or one of other inputs; or
            ``earlier`` is not of the same model and settings.
    """
    log = from_log or FromLog()
    if earlier is not None and earlier.past_clusters != settings.past_clusters:
        expected = f"must be that of the earlier table, {earlier.past_clusters}"
        raise InvalidInput("llm.past_clusters", settings.past_clusters, expected)
    if settings.past_clusters == 3:
        pairs_folder = folder.with_name(f"{folder.name}-pairs")
        if folder.is_dir():
            pairs = TripleTable.open(folder).pairs
        else:
            before = earlier.pairs if isinstance(earlier, TripleTable) else None
            pairs = _fill_dense(weights, clusters, settings, 2, pairs_folder, rng, workers, backend, log, before)
        table = _fill_triples(
            weights, clusters, settings, folder, rng.at("triples"), workers, backend, log, pairs, earlier
        )
        shutil.rmtree(pairs_folder, ignore_errors=True)
        return table
    return _fill_dense(weights, clusters, settings, settings.past_clusters, folder, rng, workers, backend, log, earlier)


def _fill_dense(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    past_clusters: int,
    folder: Path,
    rng: RandomStream,
    workers: int,
    backend: str,
    log: FromLog,
    earlier: Table | None,
) -> TransitionTable:
    """The table over every past of one or two clusters."""
    successor = log.successor if settings.successor_hint else None
    if past_clusters == 2 and successor is None and earlier is None:
        return fill_table(weights, clusters, settings, folder, rng, workers, backend)
    inputs, tokens = table_inputs(weights, clusters, settings, rng)
    num = len(tokens)
    inputs["template"] = template(past_clusters, successor is not None)
    if successor is not None:
        inputs["successor_digest"] = hashlib.sha256(successor.tobytes()).hexdigest()
    if (table := _finished(folder, inputs, earlier)) is not None:
        assert isinstance(table, TransitionTable)
        return table
    past = np.arange(num)[:, None] if past_clusters == 1 else np.stack(np.divmod(np.arange(num**2), num), axis=1)
    hint = None if successor is None else successor.reshape(-1)
    top_n = top_labels(settings, num, past_clusters)
    kept = PartialTable.of(earlier, tokens, past, hint, top_n, log.filings, inputs)
    if past_clusters == 2 and successor is None:
        pairs = pair_work(weights, clusters, settings, folder, rng, kept.stale.reshape(num, num))
        shards = pairs.shards(settings.pairs_per_shard)
        fill_shards(pairs, shards, pairs.num_pairs, workers, backend, "pair")
        if shards:
            kept.fill(np.flatnonzero(kept.stale), *read_shards(pairs.folder, shards))
        unfinished, cost = pairs.folder, table_cost(pairs)
    else:
        prompts = Prompts(tokens, tokenise_more(tokens.text, load_tokenizer(weights)), past, hint)
        unfinished, cost = _fill_prompts(weights, settings, prompts, folder, rng, workers, backend, inputs, kept)
    about = _about(inputs, tokens, cost, kept)
    TransitionTable.write(folder, kept.clusters, kept.log_probability, about, past_clusters, successor)
    shutil.rmtree(unfinished)
    return TransitionTable.open(folder)


def _fill_triples(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    workers: int,
    backend: str,
    log: FromLog,
    pairs: TransitionTable,
    earlier: Table | None,
) -> TripleTable:
    """The sparse table over triples, with that of the pairs.

    A triple's prompt names its clusters in alphabetical order of their texts, so that it does not depend on
    how they are numbered.
    """
    assert log.triples is not None
    inputs, tokens = table_inputs(weights, clusters, settings, rng)
    num = len(tokens)
    if num < 4:
        raise InvalidInput("world.num_interests", num, "must be at least 4 for a table with llm.past_clusters=3")
    inputs["template"] = template(3)
    inputs["triples_digest"] = hashlib.sha256(log.triples.tobytes()).hexdigest()
    inputs["pairs"] = pairs.manifest["checksum"]
    if (table := _finished(folder, inputs, earlier)) is not None:
        assert isinstance(table, TripleTable)
        return table
    place = np.argsort(np.argsort(np.array(tokens.text)))  # (M,) of each cluster in alphabetical order
    past = triples_of(log.triples, num)  # (T, 3)
    past = np.take_along_axis(past, np.argsort(place[past], axis=1), axis=1)
    kept = PartialTable.of(earlier, tokens, past, None, top_labels(settings, num, 3), log.filings, inputs)
    prompts = Prompts(tokens, tokenise_more(tokens.text, load_tokenizer(weights)), past)
    unfinished, cost = _fill_prompts(weights, settings, prompts, folder, rng, workers, backend, inputs, kept)
    of_pairs = pairs.manifest["cost"]
    about = _about(inputs, tokens, {**cost, **{f"{name}_of_pairs": of_pairs[name] for name in of_pairs}}, kept)
    about["coverage"] = log.coverage
    TripleTable.write(folder, log.triples, kept.clusters, kept.log_probability, pairs, about)
    shutil.rmtree(unfinished)
    return TripleTable.open(folder)


def _fill_prompts(
    weights: Path,
    settings: LLMSettings,
    prompts: Prompts,
    folder: Path,
    rng: RandomStream,
    workers: int,
    backend: str,
    inputs: dict[str, Any],
    kept: PartialTable,
) -> tuple[Path, dict[str, float]]:
    """Score the stale prompts; gives the folder of the shards, and what it cost."""
    check_context(weights, prompts.longest)
    stale = np.flatnonzero(kept.stale)
    rows = stale[np.argsort(prompts.past[stale, 0], kind="stable")]  # those of one first cluster together
    which = hashlib.sha256(rows.tobytes()).hexdigest()
    work = PromptWork(
        weights,
        settings.precision,
        prompts,
        rows,
        np.sort(rng.generator().permutation(len(prompts))[:PRIOR_PAIRS]),
        settings.pmi_coefficient,
        settings.encoder_weight,
        encoder_similarity(prompts.tokens, settings),
        kept.clusters.shape[1],
        unfinished_folder(folder, [inputs, kept.clusters.shape[1], which]),
    )
    size = settings.pairs_per_shard
    shards = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
    fill_shards(work, shards, len, workers, backend, "prompt")
    if shards:
        kept.fill(rows, *read_shards(work.folder, shards))
    return work.folder, work.cost()


def _about(inputs: dict[str, Any], tokens: PromptTokens, cost: dict[str, float], kept: PartialTable) -> dict[str, Any]:
    best = kept.clusters[:, 0]
    about = {
        "inputs": inputs,
        "clusters_digest": inputs["clusters_digest"],
        "template": inputs["template"],
        "texts": list(tokens.text),
        "labels": label_skew(np.bincount(best[best >= 0], minlength=len(tokens))),
        "cost": cost,
    }
    return about if kept.counts is None else {**about, "refresh": kept.counts}


def _finished(folder: Path, inputs: dict[str, Any], earlier: Table | None) -> Table | None:
    """The table in a folder, None if there is none yet.

    Raises:
        InvalidInput: a damaged table, or one of other inputs.
    """
    if earlier is not None:
        inputs["refreshed_from"] = table_digest(earlier)
    if not folder.is_dir():
        return None
    table = open_table(folder)
    if table.manifest.get("inputs") != inputs:
        raise InvalidInput("table", str(folder), "was made of other inputs; delete it or choose another folder")
    return table
