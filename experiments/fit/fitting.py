"""Fit of a world to a log by simulated moments: statistics, their units, and the search."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from experiments.datasets.dataset import LoggedDataset
from experiments.fit.constants import Constant, bounds_of, values_at
from experiments.fit.direct import with_constants
from experiments.fit.identification import Identification, identify
from experiments.fit.observation import Observation
from experiments.fit.search import SearchResult, search
from experiments.fit.statistics import FITTED, STATISTICS, Statistics, statistics
from sim.arrays import FloatArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.random import RandomStream

LEAST_ERROR = 0.01
"""Share of a statistic's value that counts as no difference: no fit of a simulated world need be closer."""

_UNDEFINED = 10.0  # standard errors that a statistic counts as off by where a simulated log does not have it

LivesOf = Callable[[list[tuple[WorldConfig, int]]], list[Statistics]]
"""The statistics of worlds' lives under their seeds, in their order (``experiments.fit.lives.life``)."""


@dataclass(frozen=True)
class Target:
    """The statistics to match.

    Attributes:
        logged: the log's statistics, all of ``STATISTICS``.
        error: their bootstrap standard errors over users; None where unknown.
        names: the K statistics that the distance counts.
        correlation: (K, K) of them over the bootstrap.
    """

    logged: Statistics
    error: Statistics
    names: tuple[str, ...]
    correlation: FloatArray


@dataclass(frozen=True)
class Fit:
    """A finished fit.

    Attributes:
        target: what was to be met.
        scale: (K,) the standard error that each difference is counted in.
        before, start, fitted: the world as given, at the log's size; with direct estimates; in the end.
        constants: what was searched for.
        search: by the search.
        identification: what the log tells of each constant.
        lives_before, lives_after: statistics of W worlds each, under seeds that the search did not use.
    """

    target: Target
    scale: FloatArray
    before: WorldConfig
    start: WorldConfig
    fitted: WorldConfig
    constants: tuple[Constant, ...]
    search: SearchResult
    identification: Identification
    lives_before: list[Statistics]
    lives_after: list[Statistics]

    def differences(self, lives: list[Statistics]) -> FloatArray:
        """(W, K) differences of lives to the log, in standard errors."""
        return np.stack([differences(self.target, self.scale, life) for life in lives])


def target_of(data: LoggedDataset, seen: Observation, draws: int, stream: RandomStream) -> Target:
    """The log's statistics, and their errors and correlation from ``draws`` bootstrap samples of its users.

    Efron and Tibshirani (1993), chapter 6. A statistic that the log does not have, or that some draw does not have,
    is left out.

    Raises:
        InvalidInput: the log has none.
    """
    logged = statistics(seen)
    uniforms = stream.at("bootstrap").uniform(np.arange(draws), seen.num_users)  # (B, N)
    users = (uniforms * seen.num_users).astype(np.int64)
    drawn = []
    for row in tqdm(users, desc="standard errors", unit="draw", dynamic_ncols=True):
        drawn.append(statistics(seen.of_users(row)))
    error: Statistics = {}
    for each in STATISTICS:
        values = [life[each.name] for life in drawn]
        whole = logged[each.name] is not None and None not in values
        error[each.name] = float(np.std(np.array(values, np.float64), ddof=1)) if whole else None
    names = tuple(name for name in FITTED if error[name])
    if not names:
        raise InvalidInput("fit.dataset", data.name, "must tell at least one statistic; too few rows for any")
    columns = np.array([[life[name] for name in names] for life in drawn], np.float64)
    return Target(logged, error, names, np.atleast_2d(np.corrcoef(columns, rowvar=False)))


def scale_of(target: Target, lives: list[Statistics]) -> FloatArray:
    """(K,) standard error of the difference between a log and one simulated world of the same constants.

    scale^2 = 2 max(e, w)^2 + (``LEAST_ERROR`` m)^2: m the log's value, e its bootstrap error, which covers its users
    alone, and w the standard deviation over ``lives`` of one world under several seeds, which vary by their users and
    by their items, trends and production as well. Twice, as both sides have it.
    """
    scale = []
    for name in target.names:
        error, value = target.error[name] or 0.0, target.logged[name] or 0.0
        values = np.array([life[name] for life in lives if life[name] is not None], np.float64)
        world = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        scale.append(np.sqrt(2 * max(error, world) ** 2 + (LEAST_ERROR * value) ** 2))
    return np.array(scale)


def differences(target: Target, scale: FloatArray, life: Statistics) -> FloatArray:
    """(K,) a life's differences to the log in standard errors."""
    off = []
    for name, unit in zip(target.names, scale, strict=True):
        simulated, logged = life[name], target.logged[name]
        assert logged is not None
        off.append(_UNDEFINED if simulated is None else (simulated - logged) / unit)
    return np.array(off)


def distances(off: FloatArray) -> FloatArray:
    """(W,) root mean square of differences (W, K): 1 is to be expected of the same constants."""
    return np.asarray(np.sqrt((off**2).mean(axis=1)))


def fit(
    target: Target,
    before: WorldConfig,
    start: WorldConfig,
    constants: tuple[Constant, ...],
    lives: LivesOf,
    seed: int,
    search_worlds: int,
    worlds: int,
    budget: int,
    most_steps: float,
    pull: float,
    tolerance: float,
) -> Fit:
    """Fit by the method of simulated moments (McFadden 1989; Gourieroux, Monfort and Renault 1993).

        min over x of  sum_k [(m_k(x) - m_k) / scale_k]^2 + sum_j (x_j / pull)^2

    m_k the log's statistics, m_k(x) the mean of those of a few simulated worlds of the same size, whose seeds are the
    same at every x, so that points differ by their constants and not by random draws.

    Args:
        target: the log's statistics.
        before, start: the world as given, and with what is estimated directly; the search begins there.
        constants, lives: what is searched for, and who lives the worlds.
        seed: of the first world; worlds have consecutive ones.
        search_worlds: S, that the search looks at.
        worlds: W, at least 2, after those: for what is reported, and for ``scale_of``.
        budget, pull, tolerance: see ``search``.
        most_steps: how far constants may go.
    """
    searched = range(seed, seed + search_worlds)
    others = range(seed + search_worlds, seed + search_worlds + worlds)
    lives_before = lives([(before, each) for each in others])
    scale = scale_of(target, lives_before)

    def world_at(x: FloatArray) -> WorldConfig:
        return with_constants(start, values_at(constants, x))

    def off(points: list[FloatArray]) -> list[FloatArray]:
        of_lives = lives([(world, each) for world in map(world_at, points) for each in searched])
        rows = np.stack([differences(target, scale, life) for life in of_lives])
        return list(rows.reshape(len(points), search_worlds, -1))

    low, high = bounds_of(constants, most_steps)
    result = search(off, low, high, pull, budget, tolerance)
    fitted = world_at(result.x)
    identification = identify(result.jacobians, target.correlation, pull)
    lives_after = lives([(fitted, each) for each in others])
    return Fit(target, scale, before, start, fitted, constants, result, identification, lives_before, lives_after)
