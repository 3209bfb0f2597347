"""KuaiRand (Gao et al. 2022, CIKM): a short-video app's logs with randomly exposed videos, to and from our schema.

Files, in the folder or its ``data``, of any of the versions Pure, 1K and 27K::

    log_standard_*.csv, log_random_*.csv   user_id, video_id, date, hourmin, time_ms, is_click, is_like, is_follow,
                                           is_comment, is_forward, is_hate, long_view, play_time_ms, duration_ms,
                                           profile_stay_time, comment_stay_time, is_profile_enter, is_rand, tab
    video_features_basic_*.csv             video_id, author_id, video_type, upload_dt, upload_type, visible_status,
                                           video_duration, server_width, server_height, music_id, music_type, tag

What we take it for:

- *request*: rows of one user with the same ``time_ms``; days are Beijing's. ``tab``, the page of the
  app, is not kept.
- *positive*: ``long_view`` or ``is_like``, and not ``is_hate``. *Consumed*: a valid play by ``play_time_ms`` and
  ``duration_ms`` (more than 7 s, or complete), or positive. ``is_click`` means that on one page of the app and a
  click on another, so it is not used.
- *cluster*: the combination of codes in ``tag``, under its first code. The codes' meaning was not published:
  keywords are ``tag 12``, and nothing that reads can plan on them.
- *propensity*: of a row with ``is_rand``, given that the place was taken over: 1 / 7,583, uniform over the pool of
  random videos (the paper's table 1). Elsewhere unknown.
- *length*: ``video_duration``; a video without takes the median. Watched fraction: by the row's ``duration_ms``, or
  where that is 0 not known and taken for 0.
- Watching and impressions without a play were logged. Statistics of videos and features of users are not read.

27K's 322 million rows do not fit into memory; ``part: random`` of it does.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.assembly import SourceItems, SourceRows, assemble, numbered, valid_play
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import files_like, folder_of, numbers, read_numbers, read_texts
from experiments.datasets.export import FIRST_DAY, beijing_date, clock, tag_codes, write_csv
from experiments.datasets.requests import DAY
from sim.arrays import FloatArray

POOL = 7_583
"""Videos that random exposures were drawn from."""

PARTS = {"standard": ("log_standard_*.csv",), "random": ("log_random_*.csv",)}
BEIJING = 8 * 3_600_000
"""Offset to UTC, milliseconds."""

_LOG = {
    "user_id": np.int64, "video_id": np.int64, "time_ms": np.int64, "is_like": np.bool_, "is_hate": np.bool_,
    "long_view": np.bool_, "play_time_ms": np.float64, "duration_ms": np.float64, "is_rand": np.bool_,
}  # fmt: skip
_LOG_HEAD = (
    "user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow", "is_comment",
    "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time",
    "is_profile_enter", "is_rand", "tab",
)  # fmt: skip
_VIDEO_HEAD = (
    "video_id", "author_id", "video_type", "upload_dt", "upload_type", "visible_status", "video_duration",
    "server_width", "server_height", "music_id", "music_type", "tag",
)  # fmt: skip


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read KuaiRand out of a folder with the files, or with the folder ``data`` that holds them.

    Args:
        part: ``standard`` or ``random`` log; None for the standard log and, where it is there, the random one.

    Raises:
        InvalidInput: a file or a column is missing, a file is half a file, or no row can be used.
    """
    folder = folder_of(folder, "KuaiRand")
    left_out: Counter[str] = Counter()
    paths = files_like(folder, PARTS[part or "standard"])
    if part is None:
        paths += sorted(folder.glob(*PARTS["random"]))
    log = read_numbers(paths, _LOG, left_out)
    seconds, length = log["play_time_ms"] / 1000, log["duration_ms"] / 1000
    positive = (log["long_view"] | log["is_like"]) & ~log["is_hate"]
    rows = SourceRows(
        user=log["user_id"],
        item=log["video_id"],
        time=log["time_ms"] + BEIJING,
        liked=log["is_like"],
        disliked=log["is_hate"],
        positive=positive,
        consumed=positive | valid_play(seconds, length),
        watch_seconds=seconds.astype(np.float32),
        watch_fraction=np.divide(seconds, length, out=np.zeros(len(length)), where=length > 0).astype(np.float32),
        propensity=np.where(log["is_rand"], np.float32(1 / POOL), np.float32(np.nan)),
    )
    name = "KuaiRand" if part is None else f"KuaiRand, {part}"
    return assemble(name, "kuairand", rows, _videos(folder, left_out), left_out)


def _videos(folder: Path, left_out: Counter[str]) -> SourceItems:
    paths = files_like(folder, ("video_features_basic_*.csv",))
    texts = read_texts(paths, ("video_id", "author_id", "upload_dt", "video_duration", "tag"), left_out)
    author = np.nan_to_num(numbers(texts["author_id"]), nan=-1)
    tags = pc.replace_substring(pc.replace_substring_regex(texts["tag"], r"([0-9]+)", r"tag \1"), ",", "|")
    known = {"length": numbers(texts["video_duration"]) / 1000, "uploaded": _midnight(texts["upload_dt"])}
    return numbered(texts, "video_id", left_out, tags, creator=author.astype(np.int64), **known)


def _midnight(date: pa.Array) -> FloatArray:
    """(n,) milliseconds of ``2022-04-08``; NaN of anything else."""
    written = pc.if_else(pc.match_substring_regex(date, r"^[0-9]{4}-[01][0-9]-[0-3][0-9]$"), date, None)
    days = pc.strptime(written, format="%Y-%m-%d", unit="s", error_is_null=True)
    return np.asarray(pc.cast(pc.cast(days, pa.int64()), pa.float64()).to_numpy(zero_copy_only=False) * 1000)


def write(data: LoggedDataset, folder: Path) -> dict[str, int]:
    """Write a log as ``log_standard_interestlab.csv`` and ``video_features_basic_interestlab.csv``.

    Carried: users, items, the order of days, requests and slots, watched seconds (to the millisecond), likes,
    dislikes, positives, the items' creators, lengths and upload days, and level 1 and 2 of the clusters as codes. Time
    stamps are made up (``clock``). Not carried: propensities, who filled a slot, planned clusters, titles, keywords,
    expiry. Returned is how many rows the format cannot carry, by reason: none.
    """
    log, time = data.log, clock(data.log) - BEIJING
    length = data.catalog.length[log.item].astype(np.float64)
    zero = np.zeros(len(log), np.int8)
    play = np.rint(log.watch_seconds.astype(np.float64) * 1000).astype(np.int64)
    columns = dict.fromkeys(_LOG_HEAD, zero) | {
        "user_id": log.user,
        "video_id": log.item,
        "date": beijing_date(time + BEIJING),
        "hourmin": (time + BEIJING) % DAY // 3_600_000 * 100,
        "time_ms": time,
        "is_click": valid_play(play / 1000, length).astype(np.int8),
        "is_like": log.liked.astype(np.int8),
        "is_hate": log.disliked.astype(np.int8),
        "long_view": log.positive.astype(np.int8),
        "play_time_ms": play,
        "duration_ms": np.rint(length * 1000).astype(np.int64),
    }
    write_csv(folder / "data" / "log_standard_interestlab.csv", columns)
    catalog = data.catalog
    start = np.datetime64(FIRST_DAY)
    blank = np.full(catalog.num_items, "")
    columns = dict.fromkeys(_VIDEO_HEAD, blank) | {
        "video_id": np.arange(catalog.num_items),
        "author_id": catalog.creator,
        "video_type": np.full(catalog.num_items, "NORMAL"),
        "upload_dt": (start + catalog.upload_day.astype("timedelta64[D]")).astype(str),
        "video_duration": np.rint(catalog.length.astype(np.float64) * 1000).astype(np.int64),
        "tag": tag_codes(data, ","),
    }
    write_csv(folder / "data" / "video_features_basic_interestlab.csv", columns)
    return {}
