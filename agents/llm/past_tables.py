"""Tables for one, two or three past clusters, with or without hints, filled whole or refreshed.

Pairs without hints are scored as ``agents.llm.bulk`` does it, all others prompt by prompt (``agents.llm.any_prompts``).
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.any_prompts import Prompts, PromptWork
from agents.llm.bulk import PRIOR_PAIRS, Filling
from agents.llm.model import check_context
from agents.llm.prompt import PromptTokens, template
from agents.llm.refresh import Filings, PartialTable, table_digest
from agents.llm.settings import LLMSettings
from agents.llm.shards import Work, fill_shards, read_shards
from agents.llm.table import TransitionTable, about_table
from agents.llm.triples import Table, TripleTable, finished_table, triples_of
from sim.arrays import IntArray
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.random import RandomStream


@dataclass(frozen=True)
class FromLog:
    """Inputs of a table that come from the log, in addition to the clusters.

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


def fill_table(
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

    A label's score is log P(label | past) - ``pmi_coefficient`` x log of its mean probability
    over ``PRIOR_PAIRS`` random pasts: what the past adds to the label's general appeal. With
    ``encoder_weight`` above 0 a sentence encoder's similarity is added; see ``mixed``. The past's own
    clusters are never labels. The table of pairs has all M^2 ordered ones, (c, c) included.

    Args:
        weights: folder of the (fine-tuned) model.
        clusters: the interest clusters.
        settings: ``num_keywords``, ``precision``, ``pmi_coefficient``, ``encoder_weight``, ``top_n``,
            ``pairs_per_shard``, ``past_clusters`` and ``successor_hint`` are used.
        folder: of the table; an existing one is opened, not overwritten. Unfinished work is kept
            next to it.
        rng: the choice of the random pasts.
        workers, backend: processes, of one thread each; see ``agents.processes.side_by_side``.
        from_log: the hints or triples, where there are any.
        earlier: a table of the same kind, of other clusters or an older log, to keep rows of; see
            ``agents.llm.refresh`` for what kept rows then mean. None = compute all.

    Raises:
        InvalidInput: too few clusters; the folder holds a damaged table or one of other inputs; or
            ``earlier`` is not of the same model and settings.
    """
    filling, log = Filling(weights, clusters, settings, folder, rng, workers, backend), from_log or FromLog()
    if earlier is not None and earlier.past_clusters != settings.past_clusters:
        expected = f"must be that of the earlier table, {earlier.past_clusters}"
        raise InvalidInput("llm.past_clusters", settings.past_clusters, expected)
    if settings.past_clusters < 3:
        return _fill_dense(filling, settings.past_clusters, log, earlier)
    pairs_folder = folder.with_name(f"{folder.name}-pairs")
    if folder.is_dir():
        pairs = TripleTable.open(folder).pairs
    else:
        before = earlier.pairs if isinstance(earlier, TripleTable) else None
        pairs = _fill_dense(replace(filling, folder=pairs_folder), 2, log, before)
    table = _fill_triples(replace(filling, rng=rng.at("triples")), log, pairs, earlier)
    shutil.rmtree(pairs_folder, ignore_errors=True)
    return table


def _fill_dense(filling: Filling, past_clusters: int, log: FromLog, earlier: Table | None) -> TransitionTable:
    """The table over every past of one or two clusters."""
    successor = log.successor if filling.settings.successor_hint else None
    inputs, tokens = filling.inputs()
    num, top_n = len(tokens), filling.top_labels(past_clusters)
    inputs["template"] = template(past_clusters, successor is not None)
    if successor is not None:
        inputs["successor_digest"] = hashlib.sha256(successor.tobytes()).hexdigest()
    if earlier is not None:
        inputs["refreshed_from"] = table_digest(earlier)
    finished: TransitionTable | None = finished_table(filling.folder, inputs, top_n)
    if finished is not None:
        return finished
    past = np.arange(num)[:, None] if past_clusters == 1 else np.stack(np.divmod(np.arange(num**2), num), axis=1)
    hint = None if successor is None else successor.reshape(-1)
    kept = PartialTable.of(earlier, tokens, past, hint, top_n, log.filings, inputs)
    if past_clusters == 2 and successor is None:
        pairs = filling.pair_work(inputs, tokens, None if earlier is None else kept.stale.reshape(num, num))
        _compute(filling, pairs, kept, np.flatnonzero(kept.stale))
        work: Work = pairs
    else:
        work = _compute_prompts(filling, inputs, tokens, past, hint, kept)
    about = _about(inputs, tokens, work.cost(), kept)
    TransitionTable.write(filling.folder, kept.clusters, kept.log_probability, about, past_clusters, successor)
    shutil.rmtree(work.folder, ignore_errors=True)  # a share that is still at work may write there
    return TransitionTable.open(filling.folder)


def _fill_triples(filling: Filling, log: FromLog, pairs: TransitionTable, earlier: Table | None) -> TripleTable:
    """The sparse table over triples, with that of the pairs.

    A triple's prompt names its clusters in alphabetical order of their texts, so that it does not depend on
    how they are numbered.
    """
    assert log.triples is not None
    inputs, tokens = filling.inputs()
    num = len(tokens)
    if num < 4:
        raise InvalidInput("world.num_interests", num, "must be at least 4 for a table with llm.past_clusters=3")
    inputs["template"] = template(3)
    inputs["triples_digest"] = hashlib.sha256(log.triples.tobytes()).hexdigest()
    inputs["pairs"] = pairs.manifest["checksum"]
    if earlier is not None:
        inputs["refreshed_from"] = table_digest(earlier)
    finished: TripleTable | None = finished_table(filling.folder, inputs, filling.top_labels(2))
    if finished is not None:
        return finished
    place = np.argsort(np.argsort(np.array(tokens.text)))  # (M,) of each cluster in alphabetical order
    past = triples_of(log.triples, num)  # (T, 3)
    past = np.take_along_axis(past, np.argsort(place[past], axis=1), axis=1)
    kept = PartialTable.of(earlier, tokens, past, None, filling.top_labels(3), log.filings, inputs)
    work = _compute_prompts(filling, inputs, tokens, past, None, kept)
    of_pairs = {f"{name}_of_pairs": value for name, value in pairs.manifest["cost"].items()}
    about = _about(inputs, tokens, {**work.cost(), **of_pairs}, kept) | {"coverage": log.coverage}
    TripleTable.write(filling.folder, log.triples, kept.clusters, kept.log_probability, pairs, about)
    shutil.rmtree(work.folder)
    return TripleTable.open(filling.folder)


def _compute_prompts(
    filling: Filling,
    inputs: dict[str, Any],
    tokens: PromptTokens,
    past: IntArray,
    hint: IntArray | None,
    kept: PartialTable,
) -> PromptWork:
    """Score the stale ones of the prompts of pasts (T, K) with hints (T,)."""
    prompts = Prompts(tokens, past, hint)
    check_context(filling.weights, prompts.longest)
    stale = np.flatnonzero(kept.stale)
    rows = stale[np.argsort(past[stale, 0], kind="stable")]  # those of one first cluster together
    prior_rows = np.sort(filling.rng.generator().permutation(len(prompts))[:PRIOR_PAIRS])
    which = hashlib.sha256(rows.tobytes()).hexdigest()
    common = filling.work(inputs, tokens, kept.clusters.shape[1], [which])
    work = PromptWork(**common, prompts=prompts, rows=rows, prior_rows=prior_rows)
    _compute(filling, work, kept, rows)
    return work


def _compute(filling: Filling, work: Work, kept: PartialTable, rows: IntArray) -> None:
    """Do the work, whose shards hold ``rows`` (R,) of the table."""
    shards = work.shards()
    fill_shards(work, shards, filling.workers, filling.backend)
    if shards:
        kept.fill(rows, *read_shards(work.folder, shards))


def _about(inputs: dict[str, Any], tokens: PromptTokens, cost: dict[str, float], kept: PartialTable) -> dict[str, Any]:
    about = {**about_table(inputs, inputs["template"], tokens.text, kept.clusters[:, 0]), "cost": cost}
    return about if kept.counts is None else {**about, "refresh": kept.counts}
