"""What is new to a user, and rewarding it: the novelty-enhanced recommender."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.events import Events
from sim.arrays import BoolArray, IntArray
from sim.log import InteractionLog
from sim.platform import Requests
from sim.records import Count, Positive, checks_arguments


def novel_rows(log: InteractionLog, consumed_before: BoolArray) -> BoolArray:
    """Which impressions were from a cluster that the user had not consumed until then.

    A row is novel unless its cluster was consumed before the log began or on any earlier row of
    the same user and cluster, earlier slots of the same slate included.

    Args:
        log: rows in the order in which they happened.
        consumed_before: (N, M).

    Returns:
        (R,) bool.
    """
    pair = log.user * consumed_before.shape[1] + log.cluster
    return np.asarray(~consumed_before[log.user, log.cluster] & (earlier_marked(pair, log.consumed) == 0))


def earlier_marked(key: IntArray, marked: BoolArray) -> IntArray:
    """(R,) how many earlier rows of the same key (R,) are marked (R,)."""
    order = np.argsort(key, kind="stable")  # keeps time's order within a key
    ordered, mark = key[order], marked[order].astype(np.int64)
    begins = np.ones(len(key), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    before = np.cumsum(mark) - mark
    count = np.empty(len(key), np.int64)
    # ``before`` never falls, so the running maximum of its groups' starts is that of the own group.
    count[order] = before - np.maximum.accumulate(np.where(begins, before, 0))
    return count


@checks_arguments
@dataclass(frozen=True)
class NoveltyBoost:
    """Multiplicative intrinsic motivation (Chen et al. 2021, "Values of user exploration in recommender systems").

    R_t = c * R^e_t if the item is surprising, else R^e_t. An item is *surprising* to a user whom no
    item of its cluster has pleased in the last d days. What earned no reward gets no boost. With
    the cross-entropy, whose rewards are 1, novel positive labels so weigh c: the baseline of Wang et
    al. 2024.

    Args:
        factor: c (4 in the paper's live experiment).
        window_days: d, days, the day itself included (7 in the paper's live experiment).
        history_bit: whether the model's input marks which items of the history were surprising and
            rewarded (the paper's "actionable representation", i_t).

    Raises:
        InvalidInput: an argument makes no sense.
    """

    factor: Positive = 4.0
    window_days: Count = 7
    history_bit: bool = False


class RecentPositives:
    """The items that pleased each user in the last days; clusters are looked up when asked, as they may be refiled.

    Args:
        window_days: d; a positive of day t counts on days t .. t + d - 1.
    """

    def __init__(self, window_days: int) -> None:
        self.window_days = window_days
        self._user, self._item = np.empty(0, np.int64), np.empty(0, np.int64)
        self._day = np.empty(0, np.int32)

    def surprising(self, log: InteractionLog, cluster_of_item: IntArray) -> BoolArray:
        """Which impressions are surprising, given what went before each.

        Args:
            log: R impressions that follow what was remembered, in the order of time.
            cluster_of_item: (n,), of every item uploaded so far.

        Returns:
            (R,) bool; whether the impression itself pleased does not matter.
        """
        num_old = len(self._user)
        user = np.concatenate([self._user, log.user])
        cluster = cluster_of_item[np.concatenate([self._item, log.item])]
        day = np.concatenate([self._day, log.day])
        positive = np.concatenate([np.ones(num_old, bool), log.positive])
        order = np.lexsort((cluster, user))  # stable: in the order of time within user and cluster
        place = np.arange(len(order))
        begins = np.ones(len(order), bool)
        for column in (user[order], cluster[order]):
            begins[1:] &= column[1:] == column[:-1]
        begins[1:] = ~begins[1:]
        begin = np.maximum.accumulate(np.where(begins, place, 0))
        latest = np.full(len(order), -1)  # the last positive strictly before, anyone's
        latest[1:] = np.maximum.accumulate(np.where(positive[order], place, -1))[:-1]
        known = (latest >= begin) & (day[order] - day[order][latest] < self.window_days)
        surprising = np.empty(len(order), bool)
        surprising[order] = ~known
        return surprising[num_old:]

    def remember(self, log: InteractionLog) -> None:
        """Add a log's positives; forget what no later day can ask for."""
        rows = log.positive
        user, item = np.concatenate([self._user, log.user[rows]]), np.concatenate([self._item, log.item[rows]])
        day = np.concatenate([self._day, log.day[rows]])
        kept = day > int(day.max(initial=0)) - self.window_days
        self._user, self._item, self._day = user[kept], item[kept], day[kept]

    def surprising_now(self, user: IntArray, cluster: IntArray, day: int, cluster_of_item: IntArray) -> BoolArray:
        """Which clusters (B, L) would be surprising to users (B,) on ``day``, after what was remembered."""
        recent = self._day > day - self.window_days
        num = int(cluster_of_item.max(initial=0)) + 1
        known = self._user[recent] * num + cluster_of_item[self._item[recent]]
        return np.isin(user[:, None] * num + cluster, known, invert=True)

    def save(self, path: Path) -> None:
        """Write safetensors."""
        save_file({"user": self._user, "item": self._item, "day": self._day}, path)

    def load(self, path: Path) -> None:
        """Read what ``save`` wrote."""
        state = load_file(path)
        self._user, self._item, self._day = state["user"], state["item"], state["day"]


def history_bits(
    requests: Requests, length: int, events: Events, recent: RecentPositives, cluster_of_item: IntArray
) -> BoolArray:
    """Which of the last items of users' histories were surprising and rewarded when they were watched.

    What is among ``events`` has its bit there. What comes after was watched since the last training,
    hence today; its bit follows from what was remembered and from what comes before it today.

    Args:
        requests: B users with histories (B, H).
        length: L, at most H.
        events: at least the last L events of each user up to yesterday, if there are as many.
        recent: the users' positives up to yesterday.
        cluster_of_item: (n,), of every item uploaded so far.

    Returns:
        (B, L) bool.
    """
    cluster = requests.clusters
    past, bits = _looked_up(requests.user, requests.items, events, len(cluster_of_item))  # (B, H)
    # History items before the first one that is among the events are older than the events that are kept.
    older = ~np.logical_or.accumulate(past, axis=1) & past.any(axis=1, keepdims=True)
    today = requests.positive & ~past & ~older  # pads are not positive
    new = today & recent.surprising_now(requests.user, cluster, requests.day, cluster_of_item)
    same = (cluster[:, :, None] == cluster[:, None, :]) & today[:, None, :]  # (B, H, H)
    repeated = (same & np.tri(cluster.shape[1], k=-1, dtype=bool)).any(axis=2)
    return np.asarray(bits | (new & ~repeated))[:, cluster.shape[1] - length :]


def _looked_up(user: IntArray, items: IntArray, events: Events, num_items: int) -> tuple[BoolArray, BoolArray]:
    """Whether the items (B, L) of users (B,) are among the events, and were surprising there; pads are not."""
    nothing = np.zeros(items.shape, bool)
    if not len(events):
        return nothing, nothing
    key = events.user * num_items + events.item
    order = np.argsort(key, kind="stable")
    wanted = user[:, None] * num_items + items
    place = np.searchsorted(key, wanted, side="right", sorter=order) - 1  # the latest, where watched twice
    row = order[np.maximum(place, 0)]
    is_event = (key[row] == wanted) & (items >= 0)
    return is_event, is_event & events.surprising[row]
