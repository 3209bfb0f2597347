"""From a source's rows and items to a ``LoggedDataset``: the part that all adapters have in common."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.content import categories_of, clusters_of, embed, tags_of, terms_of, words_of
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.delimited import numbers, readable
from experiments.datasets.requests import DAY, Places, first_of_each, into_requests
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.log import PRODUCTION, InteractionLog

VALID_PLAY, LONG_VIEW = 7.0, 18.0
"""Seconds, after KuaiRand (Gao et al. 2022), as the simulator has them."""

NOMINAL_LENGTH = 60.0
"""Seconds, of items of which no length is known."""


@dataclass(frozen=True)
class SourceRows:
    """R rows of a source's log, in its own order and with its own numbers.

    Attributes:
        user, item: (R,) int64.
        time: (R,) int64, milliseconds of the source's local time.
        liked, disliked, positive, consumed: (R,) bool.
        watch_seconds, watch_fraction: (R,) float32; None where no watching was logged.
        propensity: (R,) float32, NaN where unknown; None where all are.
        request: (R,) int64; None where rows of one user and time are one request.
        slot: (R,) int64, at least 0; None where it is the row's place within the request.
    """

    user: IntArray
    item: IntArray
    time: IntArray
    liked: BoolArray
    disliked: BoolArray
    positive: BoolArray
    consumed: BoolArray
    watch_seconds: FloatArray | None = None
    watch_fraction: FloatArray | None = None
    propensity: FloatArray | None = None
    request: IntArray | None = None
    slot: IntArray | None = None

    def where(self, rows: Any) -> "SourceRows":
        """The rows that a mask or an index array selects."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value[rows] for name, value in known.items()})


@dataclass(frozen=True)
class SourceItems:
    """k items as their source describes them.

    Attributes:
        number: (k,) int64, what the rows call them.
        tags: (k,) text ``A|B``: what they are filed under, the most general first; null where under nothing.
        title: (k,) text; None where the source has none.
        creator: (k,) int64; None where unknown.
        length: (k,) float64 seconds, NaN where unknown; None where all are.
        uploaded: (k,) float64, milliseconds of local time, NaN where unknown; None where all are.
    """

    number: IntArray
    tags: pa.Array
    title: pa.Array | None = None
    creator: IntArray | None = None
    length: FloatArray | None = None
    uploaded: FloatArray | None = None

    def where(self, rows: IntArray) -> "SourceItems":
        """The items in these places (k',)."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return replace(
            self,
            **{
                name: value.take(pa.array(rows) if name in ("tags", "title") else rows) for name, value in known.items()
            },
        )


def numbered(
    texts: Mapping[str, pa.Array], column: str, left_out: Counter[str], tags: pa.Array, **more: Any
) -> SourceItems:
    """Items by the numbers in a column of text; those without one are left out and counted."""
    number = numbers(texts[column])
    kept = np.flatnonzero(readable({column: number}, left_out))
    return SourceItems(np.nan_to_num(number, nan=-1).astype(np.int64), tags, **more).where(kept)


@dataclass(frozen=True)
class Names:
    """What the source calls its users and items, by their numbers; None where it calls them by number."""

    user: pa.Array | None = None
    item: pa.Array | None = None


def assemble(
    name: str,
    source: str,
    rows: SourceRows,
    items: SourceItems,
    left_out: Counter[str],
    names: Names | None = None,
    has_negatives: bool = True,
) -> LoggedDataset:
    """Put a data set together.

    Users and items are numbered anew in the order of the source's numbers, those that no row is left of are not in it.
    Rows of items that the source says nothing of, or files under nothing, and rows that stand twice (same user, item
    and time) are left out and counted.

    Raises:
        InvalidInput: no row is left.
    """
    items = _described(items, left_out)
    rows, place = _usable(rows, items, left_out)
    if not len(place):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
        raise InvalidInput(
            "dataset.source", source, f"no row of the log can be used; left out were {reasons or 'none'}"
        )
    user_number, user = np.unique(rows.user, return_inverse=True)
    shown, item = np.unique(place, return_inverse=True)
    left_out["items that no row shows"] += len(items.number) - len(shown)
    items = items.where(shown)
    places = into_requests(user, rows.time, rows.request)
    catalog, clusters, category = _items(items, item, places, int(rows.time.min()) // DAY)
    names = names or Names()
    return LoggedDataset(
        name=name,
        source=source,
        num_users=len(user_number),
        log=_log(rows.where(places.order), user[places.order], item[places.order], category, catalog, places),
        catalog=catalog,
        clusters=clusters,
        has_watch=rows.watch_seconds is not None,
        has_propensity=rows.propensity is not None and not bool(np.isnan(rows.propensity).all()),
        has_negatives=has_negatives,
        left_out={reason: count for reason, count in left_out.items() if count},
        user_id=_named(user_number, names.user),
        item_id=_named(items.number, names.item),
    )


def _described(items: SourceItems, left_out: Counter[str]) -> SourceItems:
    """Each item once, in the order of its number."""
    once = _counted(first_of_each(items.number), "items that stand twice", left_out)
    items = items.where(np.flatnonzero(once))
    return items.where(np.argsort(items.number))


def _usable(rows: SourceRows, items: SourceItems, left_out: Counter[str]) -> tuple[SourceRows, IntArray]:
    """The rows that can be used, and where their items (R,) stand."""
    place = _place(rows.item, items.number)
    known = _counted(place >= 0, "rows of items that the source does not describe", left_out)
    tagged = pc.fill_null(pc.not_equal(items.tags, ""), False).to_numpy(zero_copy_only=False)
    filed = known.copy()
    filed[known] = _counted(tagged[place[known]], "rows of items without a category", left_out)
    rows, place = rows.where(filed), place[filed]
    request = np.zeros(len(place), np.int64) if rows.request is None else rows.request
    once = _counted(first_of_each(rows.user, rows.time, request, place), "rows that stand twice", left_out)
    return rows.where(once), place[once]


def _counted(kept: BoolArray, reason: str, left_out: Counter[str]) -> BoolArray:
    left_out[reason] += int((~kept).sum())
    return kept


def _place(value: IntArray, known: IntArray) -> IntArray:
    """(R,) int64: where each value stands among the known (k,), which ascend; -1 where it does not."""
    if not len(known):
        return np.full(len(value), -1)
    place = np.minimum(np.searchsorted(known, value), len(known) - 1)
    return np.asarray(np.where(known[place] == value, place, -1))


def _named(number: IntArray, names: pa.Array | None) -> tuple[str, ...]:
    text = pc.cast(pa.array(number), pa.string()) if names is None else names.take(pa.array(number))
    return tuple(text.to_pylist())


def _items(
    items: SourceItems, item: IntArray, places: Places, day_zero: int
) -> tuple[Catalog, InterestClusters, IntArray]:
    """Catalog, clusters, and the cluster (n,) of each item; ``item`` (R,) are the rows' items."""
    num = len(items.number)
    nothing = np.empty(0, np.int64), pa.array([], pa.string())
    titles, hashtags = terms_of(nothing if items.title is None else words_of(items.title), tags_of(items.tags))
    categories = categories_of(items.tags)
    embedding = embed(categories, titles)
    # Rows are in the order of days, so that the first of an item's rows has its first day.
    _, first = np.unique(item[places.order], return_index=True)
    upload = places.day[first].astype(np.float64)
    if items.uploaded is not None:
        upload = np.fmin(upload, items.uploaded // DAY - day_zero)
    length = np.full(num, NOMINAL_LENGTH) if items.length is None else items.length
    known = np.isfinite(length) & (length > 0)
    length = np.where(known, length, np.median(length[known]) if known.any() else NOMINAL_LENGTH)
    creator = np.zeros(num, np.int64) if items.creator is None else np.unique(items.creator, return_inverse=True)[1]
    catalog = Catalog(
        creator=creator.astype(np.int32),
        length=length.astype(np.float32),
        upload_day=upload.astype(np.int32),
        expiry_day=np.full(num, places.day[-1] + 1, np.int32),
        embedding=embedding,
        title_terms=titles.padded(num),
        hashtag_terms=hashtags.padded(num),
        vocabulary=titles.vocabulary,
    )
    return catalog, clusters_of(categories, embedding, titles), categories.of_item


def _log(
    rows: SourceRows, user: IntArray, item: IntArray, category: IntArray, catalog: Catalog, places: Places
) -> InteractionLog:
    """The log; rows, users and items (R,) are in its order."""
    num = len(user)
    fraction = rows.consumed if rows.watch_fraction is None else rows.watch_fraction
    return InteractionLog(
        user=user,
        day=places.day,
        step=places.step,
        slot=places.slot if rows.slot is None else rows.slot,
        item=item,
        cluster=category[item],
        watch_seconds=rows.consumed * catalog.length[item] if rows.watch_seconds is None else rows.watch_seconds,
        watch_fraction=fraction.astype(np.float32),
        liked=rows.liked,
        disliked=rows.disliked,
        positive=rows.positive,
        consumed=rows.consumed,
        propensity=np.full(num, np.nan, np.float32) if rows.propensity is None else rows.propensity,
        source=np.full(num, PRODUCTION, np.int8),
        planned=np.full(num, -1, np.int32),
    )


def valid_play(seconds: FloatArray, length: FloatArray) -> BoolArray:
    """(R,) bool: more than 7 s, or to the end of an item (R,) of at most 7 s (KuaiRand); length 0 is unknown."""
    short = (length > 0) & (length <= VALID_PLAY)
    return np.asarray(np.where(short, seconds >= length, seconds > VALID_PLAY))


def long_view(seconds: FloatArray, length: FloatArray) -> BoolArray:
    """(R,) bool: at least 18 s, or to the end of an item (R,) of at most 18 s (KuaiRand); length 0 is unknown."""
    short = (length > 0) & (length <= LONG_VIEW)
    return np.asarray(np.where(short, seconds >= length, seconds >= LONG_VIEW))
