"""Are logged propensities the frequencies with which an agent really draws? A test by repeated draws.

Off-policy estimators divide by propensities; a wrong one is no error that anybody sees, only a wrong
result. So an agent is asked many times for the same requests, each time with other random draws, and what
it draws is compared with what it says.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from agents.base import RandomStream, Recommendations, Requests
from sim.arrays import FloatArray, IntArray

NUM_USERS, NUM_DRAWS, NUM_SLOTS = 12, 2000, 2
"""Requests, draws of each, and slots of each draw."""

P_VALUE = 1e-9
"""Below it the agent fails. A right one does so less than once in a million: chi-square's own error in the
far tail, with cells of ten and more, is taken care of by the factor of a thousand."""

_EXPECTED = 10  # draws that a cell needs at least
_TOLERANCE = 2e-3  # relative: float32, and scores that are rounded otherwise in another batch


@dataclass(frozen=True)
class Draws:
    """D draws for each of B users, S slots each.

    Attributes:
        user: (B,) int64.
        items: (D, B, S) int64.
        propensity: (D, B, S) float64.
        cluster: (D, B, S) int64, the planned clusters; -1 where there is no plan.
    """

    user: IntArray
    items: IntArray
    propensity: FloatArray
    cluster: IntArray


def draw(
    recommend: Callable[[Requests, RandomStream], Recommendations],
    requests: Requests,
    rng: RandomStream,
    num_draws: int,
) -> Draws | None:
    """Ask for the same requests with many streams; None if the agent gives no propensities."""
    slates = [recommend(requests, rng.at("draw", number)) for number in range(num_draws)]
    if any(slate.propensity is None for slate in slates):
        return None
    nothing = np.full(slates[0].items.shape, -1)
    return Draws(
        requests.user,
        np.stack([slate.items for slate in slates]).astype(np.int64),
        np.stack([np.asarray(slate.propensity, np.float64) for slate in slates]),
        np.stack([nothing if slate.cluster is None else slate.cluster for slate in slates]).astype(np.int64),
    )


@dataclass(frozen=True)
class Comparison:
    """What draws tell of the propensities.

    Attributes:
        faults: one message a fault: about the first slot, and about the later ones given those before.
        cells: how many cells could be compared; few, where an agent spreads over very many items.
        p_values: for each of the two; 1 where nothing could be compared.
    """

    faults: list[str]
    cells: int
    p_values: tuple[float, ...]


def compare_propensities(draws: Draws) -> Comparison:
    """Compare what was drawn with what the propensities say.

    Draws of a slot are alike, and so comparable, where user, earlier items and the planned clusters so far
    are the same: a propensity is conditional on these. Within such a group the first half of the
    draws tells the propensities, the second half is counted against them. Cells are items that are
    expected at least ten times, all others that the first half had, and all that it had not; being
    chosen from the first half alone, they leave the statistic sum (O - E)^2 / E its chi-square
    distribution with (cells - 1) degrees of freedom (Pearson 1900), which is added up over groups.
    """
    faults, cells, p_values = [], 0, []
    for slots, words in ((range(1), "first slot"), (range(1, draws.items.shape[2]), "later slots, given those before")):
        groups = [group for slot in slots for group in _examine(draws, slot)]
        told = [group.told for group in groups if group.told]
        statistic = sum(group.statistic for group in groups)
        freedom = sum(group.freedom for group in groups)
        p_values.append(float(chi2.sf(statistic, freedom)) if freedom else 1.0)
        cells += freedom
        if told:
            faults.append(f"{words}: {told[0]}")
        elif p_values[-1] < P_VALUE:
            worst = max(groups, key=lambda group: group.excess)
            faults.append(
                f"{words}: propensities are not the frequencies of what is drawn (chi-square {statistic:.0f} at "
                f"{freedom} degrees of freedom); {worst.example}"
            )
    return Comparison(faults, cells, tuple(p_values))


@dataclass(frozen=True)
class _Group:
    """Draws that are alike: Pearson's statistic, or what is wrong before any is needed."""

    statistic: float = 0.0
    freedom: int = 0
    excess: float = 0.0
    example: str = ""
    told: str = ""


def _examine(draws: Draws, slot: int) -> list[_Group]:
    num_draws, num_requests, _ = draws.items.shape
    request = np.broadcast_to(np.arange(num_requests)[None, :, None], (num_draws, num_requests, 1))
    given = np.concatenate([request, draws.items[:, :, :slot], draws.cluster[:, :, : slot + 1]], axis=2)
    _, group = np.unique(given.reshape(num_draws * num_requests, -1), axis=0, return_inverse=True)
    number = np.repeat(np.arange(num_draws), num_requests)  # of the draw
    item, propensity = draws.items[:, :, slot].ravel(), draws.propensity[:, :, slot].ravel()
    order = np.argsort(group.ravel(), kind="stable")  # within a group by draw
    ends = np.flatnonzero(np.diff(group.ravel()[order])) + 1
    groups = []
    for rows in np.split(order, ends):
        learned = rows[number[rows] < num_draws // 2]
        counted = rows[number[rows] >= num_draws // 2]
        if len(learned) and len(counted) >= 2 * _EXPECTED:
            where = f"user {draws.user[rows[0] % num_requests]}"
            groups.append(_compare(item[learned], propensity[learned], item[counted], where))
    return groups


def _compare(known: IntArray, propensity: FloatArray, drawn: IntArray, where: str) -> _Group:
    """One group: items and propensities of the first half, items of the second."""
    items, place = np.unique(known, return_inverse=True)
    low, high = np.full(len(items), np.inf), np.zeros(len(items))
    np.minimum.at(low, place, propensity)
    np.maximum.at(high, place, propensity)
    if (high > low * (1 + _TOLERANCE)).any():
        worst = int(np.argmax(high / low))
        return _Group(
            told=f"the propensity of item {items[worst]} for {where} differs from draw to draw, {low[worst]:.4g} to "
            f"{high[worst]:.4g}, after the same slots and plan; give its probability over all that is left to chance"
        )
    share = (low + high) / 2  # (items,)
    if share.sum() > 1 + _TOLERANCE:
        return _Group(
            told=f"propensities of {len(items)} distinct items add up to {share.sum():.4g} for {where}, and must not "
            "exceed 1; give the probability of the item that was drawn"
        )
    return _pearson(items, share, drawn, where)


def _pearson(items: IntArray, share: FloatArray, drawn: IntArray, where: str) -> _Group:
    count = np.array([(drawn == item).sum() for item in items])
    single = share * len(drawn) >= _EXPECTED
    expected = np.append(share[single], [share[~single].sum(), max(1 - share.sum(), 0.0)]) * len(drawn)
    observed = np.append(count[single], [count[~single].sum(), len(drawn) - count.sum()])
    names = [f"item {item}" for item in items[single]] + ["all items of less weight", "all other items"]
    while len(expected) > 1 and expected.min() < _EXPECTED:  # too small a cell joins the next smallest
        first, second = np.argsort(expected, kind="stable")[:2]
        if observed[first] or expected[first] > 0.5:
            names[second] += f" and {names[first]}"
        expected[second] += expected[first]
        observed[second] += observed[first]
        expected, observed = np.delete(expected, first), np.delete(observed, first)
        del names[first]
    deviation = (observed - expected) ** 2 / expected
    if len(expected) < 2:
        return _Group()
    worst = int(deviation.argmax())
    example = (
        f"{where}: {names[worst]} came {observed[worst]} times in {len(drawn)} draws, and by its propensity should "
        f"have come {expected[worst]:.0f} times"
    )
    return _Group(float(deviation.sum()), len(expected) - 1, float(deviation[worst]), example)
