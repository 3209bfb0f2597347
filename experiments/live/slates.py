"""Compiled filling of slates from ranked lists, without a users x items array."""

from typing import NamedTuple

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.channels import may_show
from sim.hidden.compiled import compiled, compiled_with_arrays


class RankedLists(NamedTuple):
    """Live items by group (a cluster or an interest), best first within each.

    Attributes:
        item: (n_live,) int64, group after group.
        start: (G + 1,) int64, where each group's items begin.
        lift: (n,) float32, value of every item relative to the others of its group.
    """

    item: IntArray
    start: IntArray
    lift: FloatArray

    @staticmethod
    def of(live: IntArray, group: IntArray, num_groups: int, lift: FloatArray) -> "RankedLists":
        """Rank live items (n_live,) of groups (n,) by lift (n,); ties go to the lower item."""
        order = np.lexsort((live, -lift[live], group[live]))
        start = np.concatenate([[0], np.cumsum(np.bincount(group[live], minlength=num_groups))])
        return RankedLists(live[order], start.astype(np.int64), lift.astype(np.float32))


@compiled_with_arrays
def fill_best(
    slates: IntArray, filled: IntArray, group: IntArray, rate: FloatArray, lists: RankedLists, exclude: IntArray,
    most: int,
) -> None:  # fmt: skip
    """Fill what is left of each row with the items of largest rate x lift, at most ``most`` a group.

    Args:
        slates: (B, S) int64, written to; a place that cannot be filled keeps what it had.
        filled: (B,) int64, columns of each row that are filled already: kept, and not repeated.
        group: (B, K) int64, groups to choose from.
        rate: (B, K) float32, the user's rate of each; at or below 0 is left out.
        lists: what there is.
        exclude: (B, X) int64, items that must not be shown.
        most: items of one group a slate.
    """
    num_slots, num_groups = slates.shape[1], group.shape[1]
    place = np.empty(num_groups, np.int64)
    taken = np.empty(num_groups, np.int64)
    for b in range(len(slates)):
        for k in range(num_groups):
            place[k], taken[k] = lists.start[group[b, k]], 0
        for s in range(filled[b], num_slots):
            best, best_score = -1, 0.0
            for k in range(num_groups):
                end = lists.start[group[b, k] + 1]
                while place[k] < end and not may_show(slates, b, s, lists.item[place[k]], exclude):
                    place[k] += 1
                if taken[k] < most and place[k] < end:
                    score = rate[b, k] * lists.lift[lists.item[place[k]]]
                    if score > best_score:
                        best, best_score = k, score
            if best < 0:
                break  # nothing more to choose from: the column keeps what it had
            slates[b, s] = lists.item[place[best]]
            taken[best] += 1


@compiled
def fill_next(slates: IntArray, filled: IntArray, group: IntArray, lists: RankedLists, exclude: IntArray) -> None:
    """Fill each row's next column with the best item of a group (B,) that may be shown; -1 is no group.

    ``filled`` (B,) grows by 1 where there was one.
    """
    for b in range(len(slates)):
        if group[b] < 0:
            continue
        for place in range(lists.start[group[b]], lists.start[group[b] + 1]):
            if may_show(slates, b, filled[b], lists.item[place], exclude):
                slates[b, filled[b]] = lists.item[place]
                filled[b] += 1
                break


@compiled_with_arrays
def nth_unmarked(marked: BoolArray, draws: FloatArray) -> IntArray:
    """Draw one unmarked column a row of (B, M), each as likely, by draws (B,) in (0, 1): (B,) int64.

    Where all are marked, it is one of all.
    """
    chosen = np.empty(len(marked), np.int64)
    num = marked.shape[1]
    for b in range(len(marked)):
        unmarked = 0
        for m in range(num):
            unmarked += not marked[b, m]
        if unmarked == 0:
            chosen[b] = int(draws[b] * num)
            continue
        left = int(draws[b] * unmarked)
        for m in range(num):
            if not marked[b, m]:
                if left == 0:
                    chosen[b] = m
                    break
                left -= 1
    return chosen
