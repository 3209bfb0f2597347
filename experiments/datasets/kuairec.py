"""KuaiRec 2.0 (Gao et al. 2022, CIKM): a short-video app's logs, one matrix fully observed, to and from our schema.

Files, in the folder or its ``data``::

    big_matrix.csv, small_matrix.csv   user_id, video_id, play_duration, video_duration (ms), time, date,
                                       timestamp (s), watch_ratio
    item_categories.csv                video_id, feat: a list of codes such as [27, 9]
    kuairec_caption_category.csv       optional: video_id, ..., caption, ..., first_level_category_name, ...,
                                       second_level_category_name, ...

What we take it for:

- *request*: rows of one user with the same ``timestamp``; days are Beijing's. Rows without a time stamp (the small
  matrix has some) are left out, as are rows that stand twice (the big matrix has many).
- *positive*: a long view (at least 18 s, or complete), *consumed*: a valid play (more than 7 s, or complete), both by
  ``play_duration`` and ``video_duration``. Likes were not published. Watched fraction: ``watch_ratio``.
- *cluster*: the combination of codes in ``feat``, under its first; with the file of captions, the category of the
  second level under that of the first, by name, and captions are titles.
- *propensity*: unknown. Of the small matrix almost every user saw almost every video, which no policy did.
- *length*: the median ``video_duration`` of its rows. When videos were uploaded is not read.
- Watching was logged, and so were impressions that ended at once.

The big matrix is read unless ``part`` says ``small``: they are not of one kind.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from experiments.datasets.assembly import SourceItems, SourceRows, assemble, long_view, numbered, valid_play
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import Layout, files_like, folder_of, read_numbers, read_texts
from experiments.datasets.export import beijing_date, clock, tag_codes, write_csv
from experiments.datasets.kuairand import BEIJING
from sim.arrays import FloatArray, IntArray

PARTS = {"big": ("big_matrix.csv",), "small": ("small_matrix.csv",)}

_MATRIX = {
    "user_id": np.int64, "video_id": np.int64, "play_duration": np.float64, "video_duration": np.float64,
    "timestamp": np.float64, "watch_ratio": np.float64,
}  # fmt: skip
_CAPTIONS = "kuairec_caption_category.csv"


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read KuaiRec out of a folder with the files, or with the folder ``data`` that holds them.

    Args:
        part: ``big`` (also None) or ``small`` matrix.

    Raises:
        InvalidInput: a file or a column is missing, a file is half a file, or no row can be used.
    """
    folder = folder_of(folder, "KuaiRec")
    left_out: Counter[str] = Counter()
    part = part or "big"
    matrix = read_numbers(files_like(folder, PARTS[part]), _MATRIX, left_out)
    seconds, length = matrix["play_duration"] / 1000, matrix["video_duration"] / 1000
    positive = long_view(seconds, length)
    nothing = np.zeros(len(seconds), bool)
    rows = SourceRows(
        user=matrix["user_id"],
        item=matrix["video_id"],
        time=np.rint(matrix["timestamp"] * 1000).astype(np.int64) + BEIJING,
        liked=nothing,
        disliked=nothing,
        positive=positive,
        consumed=positive | valid_play(seconds, length),
        watch_seconds=seconds.astype(np.float32),
        watch_fraction=matrix["watch_ratio"].astype(np.float32),
    )
    captions = folder / _CAPTIONS
    items = _described(captions, left_out) if captions.is_file() else _coded(folder, left_out)
    lengths = _median(rows.item, length, items.number)
    items = SourceItems(items.number, items.tags, items.title, length=lengths)
    return assemble(f"KuaiRec, {part} matrix", "kuairec", rows, items, left_out)


def _coded(folder: Path, left_out: Counter[str]) -> SourceItems:
    """Items by ``item_categories.csv``."""
    texts = read_texts(files_like(folder, ("item_categories.csv",)), ("video_id", "feat"), left_out)
    listed = pc.replace_substring_regex(texts["feat"], r"[\[\] ]", "")
    tags = pc.replace_substring(pc.replace_substring_regex(listed, r"([0-9]+)", r"category \1"), ",", "|")
    return numbered(texts, "video_id", left_out, tags)


def _described(path: Path, left_out: Counter[str]) -> SourceItems:
    """Items by the file of captions, which has line breaks within them; a category called UNKNOWN is none."""
    first, second = "first_level_category_name", "second_level_category_name"
    texts = read_texts([path], ("video_id", "caption", first, second), left_out, Layout(patchy=True))
    levels = [pc.if_else(pc.equal(texts[name], "UNKNOWN"), None, texts[name]) for name in (first, second)]
    levels[1] = pc.if_else(pc.equal(levels[0], levels[1]), None, levels[1])
    tags = pc.binary_join_element_wise(levels[0], levels[1], "|", null_handling="skip")
    tags = pc.if_else(pc.is_valid(levels[0]), tags, None)
    title = pc.if_else(pc.equal(texts["caption"], "UNKNOWN"), None, texts["caption"])
    return numbered(texts, "video_id", left_out, tags, title=title)


def _median(item: IntArray, length: FloatArray, number: IntArray) -> FloatArray:
    """(k,) the median length of each item's rows, NaN where it has none."""
    order = np.lexsort((length, item))
    known, start, count = np.unique(item[order], return_index=True, return_counts=True)
    lower, upper = length[order][start + (count - 1) // 2], length[order][start + count // 2]
    place = np.minimum(np.searchsorted(known, number), max(len(known) - 1, 0))
    if not len(known):
        return np.full(len(number), np.nan)
    return np.where(known[place] == number, ((lower + upper) / 2)[place], np.nan)


def write(data: LoggedDataset, folder: Path) -> dict[str, int]:
    """Write a log as ``big_matrix.csv`` and ``item_categories.csv``.

    Carried: users, items, the order of days, requests and slots, watched seconds (to the millisecond) and fractions,
    and level 1 and 2 of the clusters as codes; positives and consumption only as watching tells them. Time stamps are
    made up (``clock``). Not carried: likes and dislikes, of which is returned how many there were, propensities, who
    filled a slot, planned clusters, creators, titles, keywords, days of upload and expiry.
    """
    log, time = data.log, clock(data.log)
    local = time.astype("datetime64[ms]").astype(str)
    columns = {
        "user_id": log.user,
        "video_id": log.item,
        "play_duration": np.rint(log.watch_seconds.astype(np.float64) * 1000).astype(np.int64),
        "video_duration": np.rint(data.catalog.length[log.item].astype(np.float64) * 1000).astype(np.int64),
        "time": np.char.replace(local, "T", " "),
        "date": beijing_date(time),
        "timestamp": (time - BEIJING) / 1000,
        "watch_ratio": log.watch_fraction.astype(np.float64),
    }
    write_csv(folder / "data" / "big_matrix.csv", columns)
    feat = np.char.add(np.char.add("[", tag_codes(data, ", ")), "]")
    write_csv(folder / "data" / "item_categories.csv", {"video_id": np.arange(len(feat)), "feat": feat})
    left_out = {"likes that the format cannot carry": log.liked, "dislikes that the format cannot carry": log.disliked}
    return {reason: int(rows.sum()) for reason, rows in left_out.items() if rows.any()}
