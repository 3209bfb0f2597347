"""A logged data set as all of offline evaluation takes it, and the folder in which it is kept.

    FOLDER/dataset.json           name, source, numbers of users and items, what was logged, what was left out
    FOLDER/log.parquet            one row an impression, the columns of ``sim.log.InteractionLog``
    FOLDER/items.parquet          one row an item, in the order of its number: what ``sim.catalog.Catalog`` holds
    FOLDER/clusters.safetensors   ``sim.clusters.InterestClusters``
    FOLDER/users.parquet          optional: ``id``, the source's name of each user, in the order of its number

Nothing in it is hidden: a recommender may see all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.lib
import pyarrow.parquet as pq

from sim.arrays import IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json, write_parquet
from sim.log import NOT_ASKED, SOURCE_NAMES, InteractionLog, check_order

FORMAT, VERSION = "interestlab-dataset", 1

_FACTS = "dataset.json"
_PLAIN = ("creator", "length", "upload_day", "expiry_day")
_TERMS = ("title_terms", "hashtag_terms")


@dataclass(frozen=True)
class LoggedDataset:
    """A log, and what was public about its items.

    Attributes:
        name: what reports call it.
        source: where it comes from: ``interestlab``, or the name of an adapter.
        num_users: N; users are 0 .. N-1.
        log: R impressions in the order in which they happened.
        catalog: of every item in the log.
        clusters: the interest clusters that ``log.cluster`` refers to.
        has_watch: whether watch time was logged; else watched seconds are the item's length where it was
            consumed, and 0 elsewhere, and no watch-time metric may be reported.
        has_propensity: whether the logging policy's probabilities are known for any row.
        has_negatives: whether impressions without a consumption were logged; else positive rates mean little.
        left_out: reason -> how many of the source's rows were not taken over; nothing is dropped silently.
        user_id, item_id: the source's names; empty where these are the numbers themselves.
    """

    name: str
    source: str
    num_users: int
    log: InteractionLog
    catalog: Catalog
    clusters: InterestClusters
    has_watch: bool = True
    has_propensity: bool = True
    has_negatives: bool = True
    left_out: Mapping[str, int] = field(default_factory=dict)
    user_id: tuple[str, ...] = ()
    item_id: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_log(self.log, self.num_users, self.catalog.num_items, self.clusters.num_clusters)

    @property
    def cluster_of_item(self) -> IntArray:
        """(n,) int32, the level-2 cluster of every item: as the log files it, else by its embedding."""
        filed = self.clusters.file(self.catalog.embedding)[:, 1].astype(np.int32)
        filed[self.log.item] = self.log.cluster
        return filed

    def where(self, rows: Any) -> "LoggedDataset":
        """The same data set with the rows of the log that a mask or an index array selects."""
        return replace(self, log=self.log.where(rows))

    def write(self, folder: Path) -> None:
        """Write the folder's files, each whole or not at all, ``dataset.json`` last."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FACTS).unlink(missing_ok=True)  # until all is there, this is no data set
        self.log.write(folder / "log.parquet")
        write_parquet(folder / "items.parquet", _items_table(self.catalog, self.item_id))
        self.clusters.save(folder / "clusters.safetensors")
        if self.user_id:
            write_parquet(folder / "users.parquet", pa.table({"id": list(self.user_id)}))
        else:
            (folder / "users.parquet").unlink(missing_ok=True)
        has = {"watch": self.has_watch, "propensity": self.has_propensity, "negatives": self.has_negatives}
        facts = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "source": self.source,
            "num_users": self.num_users,
            "num_items": self.catalog.num_items,
            "num_impressions": len(self.log),
            "has": has,
            "left_out": dict(self.left_out),
        }
        write_json(folder / _FACTS, facts)

    @staticmethod
    def read(folder: Path) -> "LoggedDataset":
        """Read what ``write`` wrote.

        Raises:
            InvalidInput: the folder, a file or a column is missing or damaged, or ``check_log`` refuses the log.
        """
        facts = _read_facts(folder)
        log = InteractionLog.read(folder / "log.parquet")
        catalog, item_id = _read_items(folder / "items.parquet")
        clusters = InterestClusters.load(folder / "clusters.safetensors")
        users = folder / "users.parquet"
        user_id = tuple(_table(users, ("id",)).column("id").to_pylist()) if users.exists() else ()
        for name, count in (("num_items", catalog.num_items), ("num_impressions", len(log))):
            if facts[name] != count:
                raise InvalidInput(f"{folder / _FACTS}: {name}", facts[name], f"the files hold {count:,}: half a copy?")
        has = facts["has"]
        return LoggedDataset(
            facts["name"],
            facts["source"],
            facts["num_users"],
            log,
            catalog,
            clusters,
            has["watch"],
            has["propensity"],
            has["negatives"],
            facts["left_out"],
            user_id,
            item_id,
        )


def check_log(log: InteractionLog, num_users: int, num_items: int, num_clusters: int) -> None:
    """Check that a log can have happened.

    Raises:
        InvalidInput: with how many rows are wrong and the first of them: a user, item or cluster out of range; a
            propensity outside (0, 1] (NaN means unknown and is allowed); consumption or a positive that contradicts
            itself; a watch time that is negative or not finite; an unknown source or answer; rows out of order or
            twice (``check_order``).
    """
    unknown = np.isnan(log.propensity)
    watched = "must be finite and not negative"
    checks = (
        ("user", (log.user < 0) | (log.user >= num_users), f"must be 0 to {num_users - 1}"),
        ("item", (log.item < 0) | (log.item >= num_items), f"must be 0 to {num_items - 1}"),
        ("cluster", (log.cluster < 0) | (log.cluster >= num_clusters), f"must be 0 to {num_clusters - 1}"),
        ("propensity", ~unknown & ~((log.propensity > 0) & (log.propensity <= 1)), "must be in (0, 1], or missing"),
        ("watch_seconds", ~(np.isfinite(log.watch_seconds) & (log.watch_seconds >= 0)), watched),
        ("watch_fraction", ~(np.isfinite(log.watch_fraction) & (log.watch_fraction >= 0)), watched),
        ("positive", log.positive & log.disliked, "must not be true of a row that is disliked"),
        ("source", (log.source < 0) | (log.source >= len(SOURCE_NAMES)), f"must be 0 to {len(SOURCE_NAMES) - 1}"),
        ("survey", (log.survey < NOT_ASKED) | (log.survey > 1), "must be 1, 0, or -1 (not asked)"),
    )
    for name, wrong, expected in checks:
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            value = f"{getattr(log, name)[first]} in row {first}"
            raise InvalidInput(
                f"log.{name}", value, f"{expected}; {int(wrong.sum()):,} of {len(log):,} rows are not so"
            )
    check_order(log)


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / _FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput("dataset", str(folder), f"must be a folder with a whole {_FACTS} ({error})") from None
    if not isinstance(facts, dict) or (facts.get("format"), facts.get("version")) != (FORMAT, VERSION):
        raise InvalidInput("dataset", str(folder), f"{_FACTS} must have format {FORMAT!r}, version {VERSION}")
    types = {"name": str, "source": str, "num_users": int, "num_items": int, "num_impressions": int}
    for name, kind in {**types, "has": dict, "left_out": dict}.items():
        if not isinstance(facts.get(name), kind):
            raise InvalidInput(f"{path}: {name}", facts.get(name), f"must be there, of type {kind.__name__}")
    for name in ("watch", "propensity", "negatives"):
        if not isinstance(facts["has"].get(name), bool):
            raise InvalidInput(f"{path}: has.{name}", facts["has"].get(name), "must be true or false")
    return facts


def _items_table(catalog: Catalog, item_id: tuple[str, ...]) -> pa.Table:
    columns: dict[str, Any] = {"item": np.arange(catalog.num_items)}
    if item_id:
        columns["id"] = list(item_id)
    columns |= {name: np.asarray(getattr(catalog, name)) for name in _PLAIN}
    for name in _TERMS:
        columns[name] = _strings(np.asarray(getattr(catalog, name)), catalog.vocabulary)
    flat = pa.array(np.ascontiguousarray(catalog.embedding).ravel())
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, catalog.embedding.shape[1])
    return pa.table(columns)


def _strings(terms: IntArray, vocabulary: tuple[str, ...]) -> pa.ListArray:
    """Each row's terms (n, T), -1 pads, as words."""
    named = terms >= 0
    offsets = np.concatenate([[0], np.cumsum(named.sum(axis=1))]).astype(np.int32)
    words = pa.DictionaryArray.from_arrays(pa.array(terms[named].astype(np.int32)), pa.array(vocabulary, pa.string()))
    return pa.ListArray.from_arrays(pa.array(offsets), words.dictionary_decode())


def _read_items(path: Path) -> tuple[Catalog, tuple[str, ...]]:
    table = _table(path, ("item", *_PLAIN, *_TERMS, "embedding"))
    if not np.array_equal(table.column("item").to_numpy(), np.arange(len(table))):
        raise InvalidInput(str(path), "item", "must be 0, 1, 2, ... in this order")
    lists = {name: table.column(name).combine_chunks() for name in _TERMS}
    words = pc.unique(pa.concat_arrays([rows.flatten() for rows in lists.values()]))
    words = words.take(pc.sort_indices(words))
    flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    item_id = tuple(table.column("id").to_pylist()) if "id" in table.column_names else ()
    arrays: dict[str, Any] = {name: table.column(name).to_numpy() for name in _PLAIN}
    arrays |= {name: _numbers(rows, words) for name, rows in lists.items()}
    embedding = flat.reshape(len(table), -1).astype(np.float16)
    return Catalog(**arrays, embedding=embedding, vocabulary=tuple(words.to_pylist())), item_id


def _numbers(lists: pa.ListArray, vocabulary: pa.Array) -> IntArray:
    """(n, T) int32 places of each row's words in the vocabulary, -1 pads."""
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(counts)), counts)
    terms = np.full((len(counts), int(counts.max(initial=0))), -1, np.int32)
    terms[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = pc.index_in(lists.flatten(), vocabulary)
    return terms


def _table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    """A Parquet file; ``InvalidInput`` if it is none with these columns."""
    try:
        table = pq.read_table(path)
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise InvalidInput("dataset file", str(path), f"must be a readable Parquet file ({error})") from None
    for name in columns:
        if name not in table.column_names:
            raise InvalidInput("dataset file", str(path), f"must have a column {name!r}")
    return table
