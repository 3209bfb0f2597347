"""Facts 5 and 6: how videos are watched, and how long and how often people come."""

import numpy as np
from scipy.stats import skew

from sim.arrays import FloatArray, dot
from sim.log import InteractionLog

FRACTION_EDGES: FloatArray = np.linspace(0.0, 3.0, 61)
"""Bins of the watched fraction, 0.05 wide, up to the most that a video is watched."""

SESSION_EDGES: FloatArray = 0.5 + np.array([0, *(2.0 ** np.arange(9))])
"""Bins of the session length: 1, 2, 3 to 4, 5 to 8 items and so on to 256; each holds a whole number."""

_SKIPS, _BETWEEN, _COMPLETES = (0.0, 0.2), (0.2, 0.6), (0.6, 1.3)  # watched fractions
_ACTIVE_SHARE = 0.2


def watching(log: InteractionLog, length: FloatArray) -> dict[str, float]:
    """Fact 5: shape of the watched fraction, replays, and its correlation with the items' lengths (n,) in seconds.

    Returns:
        ``valley``: lowest density between 0.2 and 0.6 over the lower of the peaks below and above (1 or more: no two
        peaks); ``replays``: share of impressions watched more than once; ``fraction_slope`` and ``seconds_slope``:
        slopes on log length, of the watched fraction and of the log of 1 + seconds.

    Sources: Zhao et al. 2025 (arXiv 2508.12665: quick skips, and several ways of watching on); KuaiRec (Gao et al.
    2022: watch ratios above 1); Zhan et al. 2022, "Deconfounding duration bias in watch-time prediction" (direction).
    The bounds are our choice.
    """
    density = np.histogram(log.watch_fraction, FRACTION_EDGES)[0].astype(float)
    density = np.convolve(np.pad(density, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    middle = (FRACTION_EDGES[1:] + FRACTION_EDGES[:-1]) / 2

    def within(limits: tuple[float, float]) -> FloatArray:
        return np.asarray(density[(middle > limits[0]) & (middle < limits[1])])

    peak = min(within(_SKIPS).max(), within(_COMPLETES).max())
    log_length = np.log(length[log.item].astype(float))
    return {
        "valley": float(within(_BETWEEN).min() / peak) if peak > 0 else float("nan"),
        "replays": float((log.watch_fraction > 1).mean()),
        "fraction_slope": slope(log_length, log.watch_fraction.astype(float)),
        "seconds_slope": slope(log_length, np.log1p(log.watch_seconds.astype(float))),
    }


def slope(x: FloatArray, y: FloatArray) -> float:
    """Least-squares slope of y (R,) on x (R,); nan where x does not vary."""
    centred = x - x.mean()
    spread = dot(centred, centred)
    return dot(centred, y - y.mean()) / spread if spread > 0 else float("nan")


def session_lengths(log: InteractionLog, num_users: int) -> FloatArray:
    """(sessions,) items examined in each session: all that a user sees in one day."""
    counts = np.unique(log.day.astype(np.int64) * num_users + log.user, return_counts=True)[1]
    return np.asarray(counts, np.float64)


def activity(log: InteractionLog, num_users: int) -> dict[str, float]:
    """Fact 6: session lengths in items (coefficient of variation, skewness), and who the watch time is from.

    A geometric length has coefficient of variation 1 and skewness 2; lognormals of sigma 0.55 to
    1.1 have 0.6 to 1.5, and skewness from 2. Heavy-tailed activity: the share of the watch time
    that the most active 20 % of the users have.

    There is no public figure; the bounds are our choice (docs/certify.md).
    """
    length = session_lengths(log, num_users)
    seconds = np.sort(np.bincount(log.user, log.watch_seconds, minlength=num_users))[::-1]
    most_active = seconds[: max(1, round(_ACTIVE_SHARE * num_users))].sum()
    return {
        "variation": float(length.std() / length.mean()),
        "skewness": float(skew(length)) if length.std() > 0 else float("nan"),
        "top_share": float(most_active / seconds.sum()) if seconds.sum() > 0 else float("nan"),
    }


def behaviour_curves(log: InteractionLog, num_users: int) -> dict[str, list[float]]:
    """What the figures of facts 5 and 6 draw: two histograms and a Lorenz curve, each summing (ending) at 1."""
    fraction = np.histogram(log.watch_fraction, FRACTION_EDGES)[0]
    length = np.histogram(session_lengths(log, num_users), SESSION_EDGES)[0]
    seconds = np.sort(np.bincount(log.user, log.watch_seconds, minlength=num_users))[::-1]
    lorenz = np.interp(np.linspace(0, 1, 21), np.linspace(0, 1, num_users + 1), np.append(0, np.cumsum(seconds)))
    return {
        "fraction": (fraction / max(1, fraction.sum())).tolist(),
        "session": (length / max(1, length.sum())).tolist(),
        "lorenz": (lorenz / max(lorenz[-1], 1e-9)).tolist(),
    }
