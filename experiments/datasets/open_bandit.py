"""The Open Bandit Dataset (Saito et al. 2020), as its small version lies in ``obp`` 0.4.1: from it alone.

Files, in a folder for each policy (``random``, ``bts``) and campaign (``all``, ``men``, ``women``)::

    POLICY/CAMPAIGN/CAMPAIGN.csv       timestamp, item_id, position (1 to 3), click, propensity_score, features
    POLICY/CAMPAIGN/item_context.csv   item_id, item_feature_0 (a number), item_feature_1 to 3 (hashed categories)

They are not ours to pass on: fetch them with ``pip download --no-deps obp==0.4.1`` and unzip.

What we take it for:

- *user*: the log names none, so that every row is one of its own, and a request of its own, at its ``position``.
  Days are UTC's.
- *positive* and *consumed*: a click. *Propensity*: as logged, of the item at that position.
- *cluster*: ``item_feature_1``, by the first letters of its hash; features 2 and 3 are the words of titles. The
  hashes, and with them the clusters' order, differ between policies and campaigns.
- Impressions without a click were logged, watching was not; lengths are nominal. Users' features are not read.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.assembly import SourceItems, SourceRows, assemble, numbered
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import folder_of, numbers, read_texts, readable
from experiments.off_policy.actions import check_rows
from sim.errors import InvalidInput

POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")
PARTS = {f"{policy}/{campaign}": (f"{campaign}.csv",) for policy in POLICIES for campaign in CAMPAIGNS}

_NUMBERS = ("item_id", "position", "click", "propensity_score")


def read_rows(folder: Path, part: str, left_out: Counter[str], timed: bool = True) -> dict[str, npt.NDArray[Any]]:
    """The log's columns of numbers (n,) float64, in the file's order.

    Args:
        folder: with a folder for each policy.
        part: policy and campaign, such as ``random/all``.
        left_out: counts rows that cannot be read.
        timed: whether to read ``time``, in milliseconds, as well.

    Raises:
        InvalidInput: no such file, a column missing, or a click that is none.
    """
    path = folder / part / f"{Path(part).name}.csv"
    if not path.is_file():
        raise InvalidInput("folder", str(path), "must be a file of the Open Bandit Dataset")
    texts = read_texts([path], (*_NUMBERS, *(["timestamp"] if timed else [])), left_out)
    values = {name: numbers(texts[name]) for name in _NUMBERS}
    if timed:
        values["timestamp"] = _milliseconds(texts["timestamp"])
    kept = readable(values, left_out)
    values = {name: column[kept] for name, column in values.items()}
    click = values["click"]
    check_rows("click", click, (click == 0) | (click == 1), "must be 0 or 1")
    return values


def _milliseconds(text: pa.Array) -> npt.NDArray[Any]:
    """(n,) of ``2019-11-24 00:00:17.004101+00:00``; NaN of anything else."""
    whole = pc.match_substring_regex(text, r"^[0-9]{4}(-[0-9]{2}){2} [0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?\+00:00$")
    written = pc.if_else(whole, pc.utf8_slice_codeunits(text, 0, -6), pa.scalar(None, pa.string()))
    time = pc.cast(pc.cast(written, pa.timestamp("us")), pa.int64())
    return np.asarray(np.floor(pc.cast(time, pa.float64()).to_numpy(zero_copy_only=False) / 1000))


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read one policy's log of one campaign, ``random/all`` if no part is named, out of ``obp/dataset/obd``.

    Raises:
        InvalidInput: a file or a column is missing, a file is half a file, a value cannot be, or no row can be used.
    """
    folder, part = folder_of(folder, "the Open Bandit Dataset"), part or "random/all"
    left_out: Counter[str] = Counter()
    values = read_rows(folder, part, left_out)
    order = np.argsort(values["timestamp"], kind="stable")
    values = {name: column[order] for name, column in values.items()}
    click = values["click"] == 1
    nothing = np.zeros(len(click), bool)
    rows = SourceRows(
        user=np.arange(len(click)),
        item=values["item_id"].astype(np.int64),
        time=values["timestamp"].astype(np.int64),
        liked=nothing,
        disliked=nothing,
        positive=click,
        consumed=click,
        propensity=values["propensity_score"].astype(np.float32),
        slot=values["position"].astype(np.int64) - 1,
    )
    return assemble(f"Open Bandit Dataset, {part}", "open_bandit", rows, _items(folder / part, left_out), left_out)


def _items(folder: Path, left_out: Counter[str]) -> SourceItems:
    features = [f"item_feature_{place}" for place in (1, 2, 3)]
    texts = read_texts([folder / "item_context.csv"], ("item_id", *features), left_out)
    short = [pc.utf8_slice_codeunits(texts[name], 0, 8) for name in features]
    tags = pc.binary_join_element_wise("feature", short[0], " ")
    title = pc.binary_join_element_wise(short[1], short[2], " ")
    return numbered(texts, "item_id", left_out, tags, title=title)
