"""From what users did to pairs of recent interests and the new one that followed.

Wang et al. (2024), section 3.2: a user is represented by K = 2 clusters sampled from the recent
history; a *novel transition* [(C1, C2) -> CL] adds the next cluster that the user liked without
ever having consumed from it. The same sampling makes the training data and serves requests, from
the same windows: a user's last ``history_length`` consumed items of the last ``history_days`` days,
as they were when the request was made.
"""

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolArray, Columns, FloatArray, Int32, Int64, IntArray, readonly
from sim.log import InteractionLog
from sim.platform import Requests
from sim.random import RandomStream

POSITIVE_WEIGHT = 4.0
"""Sampling weight of a history item with positive feedback; other consumed items weigh 1.

The paper's footnote 2 says that items with high-quality interactions are more likely to be
sampled, without a figure; this one is chosen."""

HISTORY_LENGTH, HISTORY_DAYS = 200, 30
"""What a request's history holds unless the world says otherwise (conf/world/base.yaml)."""

_CHUNK_CELLS = 4_000_000  # cells of the (events, history) matrices built at a time: some 100 MB


@dataclass(frozen=True)
class Transitions(Columns):
    """T novel transitions [(C1, C2) -> CL], in the log's order of users, then of time.

    Attributes:
        first, second: (T,) int32, two different level-2 clusters that the user had consumed from.
        label: (T,) int32, the cluster that was new to the user; neither ``first`` nor ``second``.
        user: (T,) int64, ascending.
        day: (T,) int32, when the new cluster was met.
    """

    first: Int32
    second: Int32
    label: Int32
    user: Int64
    day: Int32

    def __post_init__(self) -> None:
        self._set_types("transitions")
        for name, column in self.columns().items():
            object.__setattr__(self, name, readonly(column))

    @property
    def unordered(self) -> tuple[IntArray, IntArray]:
        """The smaller and the larger cluster of each pair, (T,) each."""
        return np.minimum(self.first, self.second), np.maximum(self.first, self.second)


def novel_transitions(
    log: InteractionLog, rng: RandomStream, history_days: int = HISTORY_DAYS, history_length: int = HISTORY_LENGTH
) -> Transitions:
    """Find every novel transition of a log (Wang et al. 2024, section 3.2 and footnote 2).

    An event is a row with positive feedback whose cluster the user had consumed from on none of
    their earlier rows. Its pair is sampled as a planner's is (``sample_past``), from what the request's
    history held: the user's last ``history_length`` consumed rows before the request, of the last
    ``history_days`` days (the event's day included): one row with weight ``POSITIVE_WEIGHT`` if
    positive, else 1; then, by the same weights, one among the rows of other clusters. Events
    whose history holds fewer than two clusters are skipped.

    Args:
        log: rows in order of time, as ``InteractionLog`` keeps them.
        rng: the randomness of the sampled pairs; row ``i`` serves the i-th event.
        history_days: how far back the pair may lie, days.
        history_length: most consumed rows that the pair may be sampled from.

    Returns:
        One transition an event, sorted by user, then time.
    """
    by_user = log.where(np.argsort(log.user, kind="stable"))
    event = np.flatnonzero(_is_novel_positive(by_user))  # (E,) rows of by_user
    history = by_user.where(by_user.consumed)  # what pairs are sampled from
    before: IntArray = np.cumsum(by_user.consumed) - by_user.consumed  # (R,) history rows before each row
    end = before[_request_begins(by_user)[event]]  # (E,) before the request: what stood above was not yet consumed
    # Within a user days ascend, so (user, day) as one number is sorted and the window a range. Days count from the
    # log's first, which is negative where users lived before day 0.
    begin = int(log.day.min(initial=0))
    day_span = int(log.day.max(initial=0)) - begin + 1
    place = history.user * day_span + history.day - begin
    oldest = np.maximum(by_user.day[event] - history_days + 1 - begin, 0)
    start = np.searchsorted(place, by_user.user[event] * day_span + oldest)
    start = np.clip(end - history_length, np.minimum(start, end), None)

    first = np.full(len(event), -1, np.int32)
    second = np.full(len(event), -1, np.int32)
    draws = rng.uniform(np.arange(len(event)), 2)  # (E, 2)
    size = max(1, _CHUNK_CELLS // history_length)
    for chunk in (slice(begin, begin + size) for begin in range(0, len(event) if len(history) else 0, size)):
        rows = end[chunk, None] - np.arange(history_length, 0, -1)  # (e, history_length), as in a request
        inside = rows >= start[chunk, None]
        rows = np.where(inside, rows, 0)
        clusters = np.where(inside, history.cluster[rows], -1)
        first[chunk], second[chunk] = _draw_past(clusters, history.positive[rows], draws[chunk]).T
    kept = first != second  # a pair of one cluster only, or of none, shows no transition
    event = event[kept]
    return Transitions(first[kept], second[kept], by_user.cluster[event], by_user.user[event], by_user.day[event])


def sample_past(requests: Requests, num: int, past_clusters: int, rng: RandomStream) -> IntArray:
    """Represent each user by K recent clusters at a time (section 3.2).

    Each past is drawn as the pairs of ``novel_transitions`` are, from the request's history: one item
    by weight, then one among those of other clusters, and so on. A user's draws depend on that user
    and ``rng`` alone.

    Args:
        requests: B users.
        num: pasts a user.
        past_clusters: K, at least 1.
        rng: this call's randomness.

    Returns:
        (B, num, K) int32. The K differ where the history holds as many clusters; where it does not, the
        last one is repeated; all are -1 where it is empty.
    """
    draws = rng.uniform(requests.user, past_clusters * num).reshape(len(requests), num, past_clusters)
    past = np.empty((len(requests), num, past_clusters), np.int32)
    for n in range(num):
        past[:, n] = _draw_past(requests.clusters, requests.positive, draws[:, n])
    return past


def _request_begins(by_user: InteractionLog) -> IntArray:
    """(R,) the first row of each row's request; rows sorted by user, then time."""
    begins = np.ones(len(by_user), bool)
    same = [column[1:] == column[:-1] for column in (by_user.user, by_user.day, by_user.step)]
    begins[1:] = ~np.logical_and.reduce(same)
    return np.asarray(np.maximum.accumulate(np.where(begins, np.arange(len(by_user)), 0)))


def _is_novel_positive(by_user: InteractionLog) -> BoolArray:
    """(R,) bool: positive, in a cluster that no earlier row of the user consumed; rows sorted by user."""
    num_clusters = int(by_user.cluster.max(initial=0)) + 1
    key = by_user.user * num_clusters + by_user.cluster
    consumed_row = np.flatnonzero(by_user.consumed)
    consumed_key, first = np.unique(key[consumed_row], return_index=True)  # first occurrence = earliest
    if len(consumed_key) == 0:
        return by_user.positive
    slot = np.minimum(np.searchsorted(consumed_key, key), len(consumed_key) - 1)
    first_row = np.where(consumed_key[slot] == key, consumed_row[first][slot], len(key))
    return np.asarray(by_user.positive & (np.arange(len(key)) <= first_row))


def _draw_past(clusters: IntArray, positive: BoolArray, draws: FloatArray) -> IntArray:
    """Draw (B, K) clusters from histories (B, H), -1 pads, by uniforms (B, K); see ``sample_past``."""
    weight = np.where(clusters >= 0, np.where(positive, POSITIVE_WEIGHT, 1.0), 0.0)  # (B, H)
    past = np.empty(draws.shape, np.int32)
    for k in range(draws.shape[1]):
        drawn = _draw_by_weight(clusters, weight, draws[:, k])
        past[:, k] = np.where(drawn < 0, past[:, k - 1], drawn) if k else drawn
        weight = np.where(clusters == past[:, k, None], 0.0, weight)
    return past


def _draw_by_weight(values: IntArray, weight: FloatArray, draw: FloatArray) -> IntArray:
    """(B,) one of each row's values (B, H) with probability proportional to weight; -1 where all weigh 0."""
    if values.shape[1] == 0:
        return np.full(len(values), -1, np.int32)
    cumulative = np.cumsum(weight, axis=1)
    total = cumulative[:, -1]
    # Rounding must not carry the threshold up to the total, which no prefix exceeds.
    threshold = np.minimum(draw * total, np.nextafter(total, 0))
    picked = np.argmax(cumulative > threshold[:, None], axis=1)
    return np.where(total > 0, values[np.arange(len(values)), picked], -1).astype(np.int32)


def recent_successors(transitions: Transitions, num_clusters: int, num_days: int, rng: RandomStream) -> IntArray:
    """The most frequent recent successor of every pair of clusters, in either order.

    Args:
        transitions: of a log.
        num_clusters: M.
        num_days: how far back from the day of the last transition they count, days.
        rng: which of equally frequent ones.

    Returns:
        (M, M) int32, symmetric; -1 = none.
    """
    recent = transitions.where(transitions.day > int(transitions.day.max(initial=0)) - num_days)
    low, high = recent.unordered
    distinct, count = np.unique(np.stack([low, high, recent.label], axis=1), axis=0, return_counts=True)
    successor = np.full((num_clusters, num_clusters), -1, np.int32)
    order = np.lexsort((rng.generator().permutation(len(count)), count))  # the last one written to a place stays
    low, high, label = distinct[order].T
    successor[low, high] = label
    successor[high, low] = label
    return successor
