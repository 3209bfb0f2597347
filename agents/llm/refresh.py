"""Reuse of an earlier table's rows after the clusters have changed or the log has grown.

A row belongs to a prompt. Where the prompt's words are the same as before (the texts of its past clusters,
and of its hint), the row is *kept*; any other is *computed anew*, and then is, bit for bit in fp32, what a
full fill with the new clusters would put there. A kept row is exact in this sense only: it is what the
same weights gave for the same words among the *old* labels, corrected by the
*old* labels' general appeal. Therefore

- a cluster with a new text can't be in a kept row: it was not among the labels;
- a label whose cluster no longer exists leaves the kept row shorter: what stood after the last one is not known;
- a label that goes on under another text (``ClusterMatch.renamed``) stands where the old text stood;
- log-probabilities of kept and new rows are under different sets of labels, and rankings under different
  corrections: both differ from a full fill's wherever any label's text changed.

Each refresh adds to that, so one in a while the table has to be filled whole.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.llm.prompt import PromptTokens
from agents.llm.table import TransitionTable
from agents.llm.triples import Table
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput

SAME_ITEMS = 0.5
"""Items that two clusters share, of the items of either, above which they are the same one under another
text (chosen; above a half, no cluster can have two such partners)."""

_SAME_MODEL = ("weights_digest", "precision", "forward", "encoder_digest")


@dataclass(frozen=True)
class ClusterMatch:
    """Which of M' new clusters are which of M old ones.

    Attributes:
        old_text: (M',) int32, the old cluster with the same text, -1 = none.
        label: (M,) int32, the new cluster that each old one goes on as, -1 = it no longer exists.
        renamed: (M,) bool, whether it does so under another text.
    """

    old_text: IntArray
    label: IntArray
    renamed: BoolArray


Filings = tuple[IntArray, IntArray]
"""(I,) the old and (I,) the new cluster of the same items."""


def match_clusters(old_texts: Sequence[str], new_texts: Sequence[str], filings: Filings | None = None) -> ClusterMatch:
    """Match clusters by text; those that are left, where it is known which items they hold, by their items.

    Args:
        old_texts, new_texts: what the M and M' clusters are called, unique.
        filings: of items; a match is a pair of clusters that shares more than ``SAME_ITEMS`` of the
            items of either (Jaccard's coefficient). None = unknown.
    """
    number = {text: cluster for cluster, text in enumerate(old_texts)}
    old_text = np.array([number.get(text, -1) for text in new_texts], np.int32)
    label = np.full(len(old_texts), -1, np.int32)
    known = np.flatnonzero(old_text >= 0)
    label[old_text[known]] = known
    renamed = np.zeros(len(old_texts), bool)
    if filings is not None:
        shape = (len(old_texts), len(new_texts))
        place = filings[0].astype(np.int64) * shape[1] + filings[1]
        both = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)  # (M, M') shared items
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
        same = (both > SAME_ITEMS * either) & (label < 0)[:, None] & (old_text < 0)
        renamed = same.any(axis=1)
        label[renamed] = same.argmax(axis=1)[renamed]
    return ClusterMatch(old_text, label, renamed)


def _rows_of(table: Table, match: ClusterMatch, past: IntArray, hint: IntArray | None) -> IntArray:
    """(T,) int64, the earlier table's rows for prompts of the same words; -1 = there was no such prompt.

    ``past`` (T, K) and ``hint`` (T,) are new clusters, -1 = no hint; ``hint`` is None where no prompt has one.
    """
    then = match.old_text[past]  # (T, K)
    row = np.where((then >= 0).all(axis=1), table.rows_of(then.clip(0)), -1)
    if hint is not None:
        assert isinstance(table, TransitionTable)
        assert table.successor is not None
        before = table.successor[then[:, 0].clip(0), then[:, 1].clip(0)]
        now = np.where(hint >= 0, match.old_text[hint], -1)
        row[(before != now) | ((hint >= 0) & (now < 0))] = -1
    return row


def _carry_over(
    table: Table, match: ClusterMatch, row: IntArray, top_n: int
) -> tuple[IntArray, FloatArray, dict[str, int]]:
    """Rows (R,) of the earlier table in terms of the new clusters.

    Returns:
        (R, top_n) clusters, in the old order, -1 where there are fewer; (R, top_n) log-probabilities;
        and how many entries are ``lost_entries``, ``renamed_entries``, and ``rows_without_entries``.
    """
    old = np.asarray(table.clusters[row], np.int64)  # (R, n)
    new = np.where(old >= 0, match.label[old], -1)
    counts = {
        "lost_entries": int(((old >= 0) & (new < 0)).sum()),
        "renamed_entries": int(((old >= 0) & match.renamed[old]).sum()),
        "rows_without_entries": int((new < 0).all(axis=1).sum()),
    }
    order = np.argsort(new < 0, axis=1, kind="stable")[:, :top_n]
    clusters = np.take_along_axis(new, order, axis=1)
    log_probability = np.take_along_axis(table.log_probability[row], order, axis=1)
    log_probability = np.where(clusters >= 0, log_probability, np.nan).astype(np.float32)
    missing = ((0, 0), (0, top_n - clusters.shape[1]))
    wide = np.pad(log_probability, missing, constant_values=np.nan)
    return np.pad(clusters, missing, constant_values=-1), wide, counts


def _check_comparable(earlier: Table, inputs: dict[str, Any]) -> None:
    """Check that an earlier table differs from one of these inputs in nothing but clusters and log.

    Raises:
        InvalidInput: another model, precision, correction, kind of past, or engine.
    """
    before = earlier.manifest.get("inputs", {})
    for name in (*_SAME_MODEL, "pmi_coefficient", "encoder_weight", "template"):
        if before.get(name) != inputs.get(name):
            expected = f"must be a table with the same {name}: {inputs.get(name)!r}, not {before.get(name)!r}"
            raise InvalidInput("refresh", earlier.manifest.get("clusters_digest"), expected)


@dataclass
class PartialTable:
    """A table in the making: rows of an earlier one, if there is one, and room for the others.

    Attributes:
        clusters, log_probability: (R, n), as ``TransitionTable``'s.
        stale: (R,) bool, which rows have to be computed.
        counts: of rows and entries, for the manifest; None where there is no earlier table.
    """

    clusters: IntArray
    log_probability: FloatArray
    stale: BoolArray
    counts: dict[str, Any] | None

    @staticmethod
    def of(
        earlier: Table | None,
        tokens: PromptTokens,
        past: IntArray,
        hint: IntArray | None,
        top_n: int,
        filings: Filings | None,
        inputs: dict[str, Any],
    ) -> "PartialTable":
        """Take over what prompts of the same words had."""
        clusters = np.full((len(past), top_n), -1, np.int32)
        log_probability = np.full((len(past), top_n), np.nan, np.float32)
        if earlier is None:
            return PartialTable(clusters, log_probability, np.ones(len(past), bool), None)
        _check_comparable(earlier, inputs)
        match = match_clusters(earlier.manifest["texts"], tokens.text, filings)
        row = _rows_of(earlier, match, past, hint)  # (R,)
        stale = row < 0
        clusters[~stale], log_probability[~stale], entries = _carry_over(earlier, match, row[~stale], top_n)
        counts = {
            "rows_kept": int((~stale).sum()),
            "rows_computed": int(stale.sum()),
            **entries,
            "clusters_with_the_same_text": int((match.old_text >= 0).sum()),
            "clusters_with_another_text": int(match.renamed.sum()),
            "clusters_gone": int((match.label < 0).sum()),
            "clusters_new": int((match.old_text < 0).sum() - match.renamed.sum()),
            "from": table_digest(earlier),
        }
        return PartialTable(clusters, log_probability, stale, counts)

    def fill(self, rows: IntArray, clusters: IntArray, log_probability: FloatArray) -> None:
        """Put computed rows into their places."""
        self.clusters[rows], self.log_probability[rows] = clusters, log_probability


def table_digest(table: Table) -> str:
    """SHA-256 of what a table holds."""
    return hashlib.sha256(json.dumps(table.manifest["checksum"], sort_keys=True).encode()).hexdigest()
