"""MIND (Wu et al. 2020, ACL): impressions and clicks of a news site, to and from our schema.

Files without a line of names, in the folder, tabs between::

    behaviors.tsv   impression ID, user ID, time such as 11/15/2019 8:55:22 AM, history of clicked news (N1 N2),
                    impressions with clicks (N3-1 N4-0)
    news.tsv        news ID, category, subcategory, title, abstract, URL, title entities, abstract entities

What we take it for:

- *request*: a row of ``behaviors.tsv``; its impressions are the slots. MIND's authors shuffled the news within an
  impression, so that slots tell nothing of positions. Times are taken as they stand.
- *positive* and *consumed*: a click. Likes, dislikes and reading times were not logged; lengths are nominal.
- *history*: what a user had clicked before the log begins stands once more in each of their rows. The first row's is
  taken as one request on a day of its own before all others (day 0), every slot clicked: without it, what is
  new to a user would be unknown. It holds no impressions without a click: rates should be of later days.
  With ``part: impressions`` it is left out.
- *cluster*: the subcategory, under its category; titles' words are keywords.
- *propensity*: unknown. Impressions without a click were logged.
- News age within days; when one was taken off was not published, so none is.

Impressions without ``-0`` or ``-1``, as in the test set, have no feedback and are left out.
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.assembly import Names, SourceItems, SourceRows, assemble
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import Layout, folder_of, read_texts, text_blocks
from experiments.datasets.export import beijing_date, clock, write_lines
from experiments.datasets.requests import DAY
from sim.arrays import BoolArray, IntArray
from sim.log import InteractionLog

PARTS = {"impressions": ("behaviors.tsv",)}

_BEHAVIORS = Layout("\t", ("impression", "user", "time", "history", "impressions"), quoted=False)
_NEWS = Layout(
    "\t",
    ("news", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"),
    quoted=False,
)
_TIME = "%m/%d/%Y %I:%M:%S %p"
_SHOWN = r"^(?P<news>\S+)-(?P<click>[01])$"


class _Block(NamedTuple):
    """B rows of ``behaviors.tsv``, and the I impressions in them.

    Attributes:
        user, past: (B,) text: user and history.
        time: (B,) int64 milliseconds.
        row: (I,) int64, the impression's place among the B rows.
        news: (I,) int64, -1 where the news is not described.
        click: (I,) bool.
    """

    user: pa.Array
    past: pa.Array
    time: IntArray
    row: IntArray
    news: IntArray
    click: BoolArray


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read MIND.

    Args:
        folder: with the files, such as ``MINDsmall_train``.
        part: ``impressions`` leaves out what was clicked before the log begins.

    Raises:
        InvalidInput: a file is missing, a file is half a file, or no row can be used.
    """
    folder = folder_of(folder, "MIND")
    left_out: Counter[str] = Counter()
    texts = read_texts([folder / "news.tsv"], ("news", "category", "subcategory", "title"), left_out, _NEWS)
    known = pc.unique(texts["news"])
    tags = pc.binary_join_element_wise(texts["category"], texts["subcategory"], "|")  # null if one of them is
    items = SourceItems(_numbers(texts["news"], known), tags, texts["title"])
    columns = ("user", "time", "history", "impressions")
    blocks = [
        _parse(texts, known, left_out) for texts in text_blocks(folder / "behaviors.tsv", columns, left_out, _BEHAVIORS)
    ]
    users = pa.concat_arrays([block.user for block in blocks] or [pa.array([], pa.string())]).dictionary_encode()
    user = users.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    rows = _impressions(blocks, user)
    past = _clicked_before(blocks, user, known)
    if part == "impressions":
        left_out["clicks before the log begins"] += len(past.user)
    else:
        rows = _joined(past, rows)
    return assemble("MIND", "mind", rows, items, left_out, Names(users.dictionary, known))


def _numbers(news: pa.Array, known: pa.Array) -> IntArray:
    """(n,) int64 places among the known news, -1 where unknown."""
    return np.asarray(pc.fill_null(pc.index_in(news, known), -1).to_numpy(zero_copy_only=False).astype(np.int64))


def _parse(texts: dict[str, pa.Array], known: pa.Array, left_out: Counter[str]) -> _Block:
    time = pc.strptime(texts["time"], format=_TIME, unit="ms", error_is_null=True)
    readable = pc.and_(pc.is_valid(time), pc.is_valid(texts["user"]))
    left_out["rows without a user or a time"] += len(readable) - int(pc.sum(readable).as_py() or 0)
    texts = {name: text.filter(readable) for name, text in texts.items()}
    lists = pc.split_pattern(texts["impressions"], " ")
    shown = pc.extract_regex(pc.list_flatten(lists), _SHOWN)
    fed_back = pc.is_valid(shown)
    left_out["impressions without feedback"] += shown.null_count
    shown = shown.filter(fed_back)
    return _Block(
        user=texts["user"],
        past=texts["history"],
        time=pc.cast(time.filter(readable), pa.int64()).to_numpy(zero_copy_only=False),
        row=pc.list_parent_indices(lists).filter(fed_back).to_numpy(zero_copy_only=False).astype(np.int64),
        news=_numbers(shown.field("news"), known),
        click=pc.equal(shown.field("click"), "1").to_numpy(zero_copy_only=False),
    )


def _impressions(blocks: list[_Block], user: IntArray) -> SourceRows:
    """The impressions of rows whose users are (B,) over all blocks."""
    start = 0
    requests: list[IntArray] = [np.empty(0, np.int64)]
    for block in blocks:
        requests.append(block.row + start)
        start += len(block.time)
    request = np.concatenate(requests)
    time = np.concatenate([block.time for block in blocks] or [np.empty(0, np.int64)])
    news = np.concatenate([block.news for block in blocks] or [np.empty(0, np.int64)])
    click = np.concatenate([block.click for block in blocks] or [np.empty(0, bool)])
    return _clicks(user[request], news, time[request], click, request)


def _clicks(user: IntArray, news: IntArray, time: IntArray, click: BoolArray, request: IntArray) -> SourceRows:
    nothing = np.zeros(len(click), bool)
    return SourceRows(user, news, time, nothing, nothing, positive=click, consumed=click, request=request)


def _clicked_before(blocks: list[_Block], user: IntArray, known: pa.Array) -> SourceRows:
    """The history in each user's first row, on the day before all others."""
    if not len(user):
        return _clicks(user, user, user, user.astype(bool), user)
    time = np.concatenate([block.time for block in blocks])
    order = np.lexsort((time, user))
    first = order[np.unique(user[order], return_index=True)[1]]  # one row a user
    past = pa.concat_arrays([block.past for block in blocks]).take(pa.array(first))
    lists = pc.split_pattern(past, " ")
    row = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    news = _numbers(pc.list_flatten(lists), known)
    day_before = (time.min() // DAY - 1) * DAY
    return _clicks(
        user[first][row],
        news,
        np.full(len(row), day_before),
        np.ones(len(row), bool),
        np.full(len(row), -1),
    )


def _joined(before: SourceRows, after: SourceRows) -> SourceRows:
    known = {name: value for name, value in vars(after).items() if value is not None}
    return SourceRows(**{name: np.concatenate([getattr(before, name), value]) for name, value in known.items()})


def write(data: LoggedDataset, folder: Path) -> dict[str, int]:
    """Write a log as ``behaviors.tsv`` and ``news.tsv``.

    Carried: users, items, the order of days, requests and slots, what was consumed (as clicks), titles, and level 1
    and 2 of the clusters as categories. Times are made up (``clock``); histories are empty, as the log tells of all
    that it knows. Not carried: positives apart from consumption, likes and dislikes, of which is returned how many
    there were, watching, propensities, who filled a slot, planned clusters, creators, lengths, keywords, days of
    upload and expiry.
    """
    log = data.log.where(np.lexsort((data.log.slot, data.log.user, data.log.step, data.log.day)))
    shown = np.char.add(np.char.add("N", log.item.astype(str)), np.where(log.consumed, "-1", "-0"))
    starts = np.flatnonzero(~_same_request(log))
    lists = pa.ListArray.from_arrays(pa.array(np.append(starts, len(log)).astype(np.int32)), pa.array(shown))
    number = pa.array(np.arange(1, len(starts) + 1).astype(str))
    user = pa.array(np.char.add("U", log.user[starts].astype(str)))
    empty = pa.array(np.full(len(starts), ""))
    when = pa.array(_written(clock(log)[starts]))
    behaviors = (number, user, when, empty, pc.binary_join(lists, " "))
    write_lines(folder / "behaviors.tsv", pc.binary_join_element_wise(*behaviors, "\t"))
    cluster = data.cluster_of_item
    items = np.arange(len(cluster)).astype(str)
    columns = [
        np.char.add("N", items),
        np.char.add("theme", data.clusters.parent[cluster].astype(str)),
        np.char.add("cluster", cluster.astype(str)),
        np.array([data.catalog.title(item) for item in range(len(cluster))]),
        *[np.full(len(cluster), "")] * 4,
    ]
    write_lines(folder / "news.tsv", pc.binary_join_element_wise(*map(pa.array, columns), "\t"))
    left_out = {"likes that the format cannot carry": log.liked, "dislikes that the format cannot carry": log.disliked}
    return {reason: int(rows.sum()) for reason, rows in left_out.items() if rows.any()}


def _same_request(log: InteractionLog) -> BoolArray:
    """(R,) bool: whether a row belongs to the request of the row before."""
    same = np.zeros(len(log), bool)
    keys = np.stack([log.day, log.step, log.user])
    same[1:] = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
    return same


def _written(time: IntArray) -> Any:
    """(n,) text such as ``4/8/2022 12:00:05 AM``, of milliseconds."""
    date = beijing_date(time)
    second = time % DAY // 1000
    hour = second // 3600
    pieces = (date // 100 % 100, "/", date % 100, "/", date // 10_000, " ", (hour - 1) % 12 + 1, ":")
    text = np.full(len(time), "")
    for piece in pieces:
        text = np.char.add(text, piece if isinstance(piece, str) else piece.astype(str))
    for piece in (second // 60 % 60, second % 60):
        text = np.char.add(text, np.char.zfill(piece.astype(str), 2))
        text = np.char.add(text, ":")
    return np.char.add(np.char.rstrip(text, ":"), np.where(hour < 12, " AM", " PM"))
