"""Estimates from logs of several sizes, compared with the true values."""

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from experiments.arena.logs import days_with_requests, read_day
from experiments.arena.offline import read_offline
from experiments.arena.rewards import REWARDS
from experiments.arena.schema import Earned, Judged, JudgedAgent
from experiments.arena.settings import ArenaConfig
from experiments.inference.users import UserSums, ratio_interval
from experiments.off_policy.actions import LoggedActions, Outcomes, per_user
from experiments.off_policy.evaluation import ESTIMATORS, Limits, evaluate, support
from experiments.off_policy.reward_model import cross_fitted
from experiments.off_policy.slates import LoggedSlates
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.arrays import FloatArray, IntArray
from sim.files import write_json
from sim.random import RandomStream


@dataclass(frozen=True)
class Bank:
    """All slates drawn at a logging policy's b requests, R times each, and A agents' probabilities of them.

    Attributes:
        user: (b,) int64.
        logged: propensity, marginal (R, b, S), reward (R, b, S, 3), features (R, b, S, F).
        agents: agent -> what ``offline_stage`` holds.
    """

    user: IntArray
    logged: dict[str, FloatArray]
    agents: dict[str, dict[str, FloatArray]]

    @staticmethod
    def read(study: Study, arena: ArenaConfig, logged: Stage, offline: dict[str, Stage]) -> "Bank":
        """Put the days together."""
        days = [read_day(logged, day) for day in days_with_requests(logged, study, arena)]
        names = ("propensity", "marginal", "reward", "features")
        return Bank(
            np.concatenate([day["user"] for day in days]).astype(np.int64),
            {name: np.concatenate([day[name] for day in days], axis=1) for name in names},
            {name: read_offline(stage) for name, stage in offline.items()},
        )


@dataclass(frozen=True)
class Log:
    """One log out of a bank; (m,) redraw, request and unit (a user in one redraw) of its slates."""

    bank: Bank
    redraw: IntArray
    request: IntArray
    unit: IntArray

    def _column(self, values: FloatArray) -> FloatArray:
        """(m * S,) of values (R, b, S)."""
        return np.asarray(values[self.redraw, self.request], np.float64).ravel()

    @property
    def num_slots(self) -> int:
        """S, of a slate."""
        return int(self.bank.logged["marginal"].shape[2])

    def rows(self, agent: str, metric: int) -> tuple[LoggedSlates, LoggedActions]:
        """The log as estimators take it: given the slots above, and marginal."""
        offline, logged = self.bank.agents[agent], self.bank.logged
        user = np.repeat(self.unit, self.num_slots)
        reward = self.reward(metric)
        slate = np.repeat(np.arange(len(self.unit)), self.num_slots)
        given = (self._column(logged["propensity"]), self._column(offline["conditional"]))
        marginal = (self._column(logged["marginal"]), self._column(offline["marginal"]))
        return LoggedSlates(user, slate, reward, *given), LoggedActions(user, reward, *marginal)

    def reward(self, metric: int) -> FloatArray:
        """(m * S,) of a slot."""
        return np.asarray(self.bank.logged["reward"][self.redraw, self.request, :, metric]).ravel()

    def outcomes(self, agents: list[str], metric: int) -> dict[str, Outcomes]:
        """Predictions of the reward model, fitted on this log alone, for each agent."""
        features = self.bank.logged["features"][self.redraw, self.request]  # (m, S, F)
        flat = features.reshape(-1, features.shape[2])
        policy = [self.bank.agents[name]["features"][self.request].reshape(flat.shape) for name in agents]
        predictions = cross_fitted(np.repeat(self.unit, self.num_slots), self.reward(metric), flat, policy)
        return dict(zip(agents, predictions, strict=True))


def logs_of(bank: Bank, num_slates: int, max_logs: int, rng: RandomStream) -> list[Log]:
    """Cut a bank into logs of at least ``num_slates`` slates that share no user's redraw.

    A unit is a user in one redraw, on all logged days. Units, shuffled, fill one log after the other;
    what does not fill a whole one is left over.
    """
    redraws, requests = bank.logged["marginal"].shape[:2]
    users, of_request = np.unique(bank.user, return_inverse=True)
    unit = np.arange(redraws)[:, None] * len(users) + of_request  # (R, b)
    order = rng.generator().permutation(redraws * len(users))
    size = np.bincount(unit.ravel(), minlength=len(order))[order]
    before = np.cumsum(size) - size
    log_of_unit = np.empty(len(order), np.int64)
    log_of_unit[order] = before // num_slates
    whole = redraws * requests // num_slates
    number = log_of_unit[unit]  # (R, b)
    sorted_by_log = np.argsort(number.ravel(), kind="stable")
    ends = np.searchsorted(number.ravel()[sorted_by_log], np.arange(min(whole, max_logs) + 1))
    logs = []
    for start, stop in pairwise(ends):
        redraw, request = np.divmod(sorted_by_log[start:stop], requests)
        logs.append(Log(bank, redraw, request, unit[redraw, request]))
    return logs


def scores_stage(study: Study, arena: ArenaConfig, policy: str, logged: Stage, offline: dict[str, Stage]) -> Stage:
    """Evaluate every agent on logs of every size; ``scores.json`` holds what ``scores`` returns."""

    def make(folder: Path) -> None:
        bank = Bank.read(study, arena, logged, offline)
        write_json(folder / "scores.json", scores(bank, arena, RandomStream(study.seed, "arena logs", policy)))

    config = {
        "sizes": arena.sizes,
        "max_logs": arena.max_logs,
        "clip": arena.clip,
        "switch": arena.switch,
        "agents": list(offline),
    }
    digests = [logged.digest, *(stage.digest for stage in offline.values())]
    return run_stage(study.cache_dir, f"arena-scores-{policy}", make, config=config, inputs=digests)


def read_scores(stage: Stage) -> dict[str, Any]:
    """What ``scores_stage`` wrote."""
    return dict(json.loads((stage.folder / "scores.json").read_text()))


def scores(bank: Bank, arena: ArenaConfig, rng: RandomStream) -> dict[str, Any]:
    """All estimators of all agents on logs of all sizes, with the true values at the same requests.

    All values are a slot's: a slate's divided by its number of slots.

    Returns:
        ``{"requests", "truth": {AGENT: {METRIC: INTERVAL}}, "seen": {AGENT: {METRIC: value}}, "reach": {AGENT},
        "novel": {AGENT}, "sizes": {SIZE: {"logs", "support": {AGENT: ...}, "metrics": {METRIC: {ESTIMATOR: {AGENT:
        {"estimates": [...], "low": [...], "high": [...]}}}}}}}``; sizes that the bank cannot fill are left out.
    """
    slots = bank.logged["marginal"].shape[2]
    limits = Limits(arena.clip, arena.switch)
    results: dict[str, Any] = {
        "requests": len(bank.user),
        "truth": {name: slate_values(bank.user, offline["truth"], slots) for name, offline in bank.agents.items()},
        "seen": {
            name: dict(zip(REWARDS, (offline["seen"].mean(axis=0) / slots).tolist(), strict=True))
            for name, offline in bank.agents.items()
        },
        "reach": {name: float(offline["reach"].mean()) for name, offline in bank.agents.items()},
        "novel": {name: float(offline["novel"].mean()) for name, offline in bank.agents.items()},
        "sizes": {},
    }
    for size in arena.sizes:
        logs = logs_of(bank, -(-size // slots), arena.max_logs, rng.at(size))
        if logs:
            results["sizes"][str(size)] = {
                "logs": len(logs),
                "support": {name: asdict(support(*logs[0].rows(name, 0), limits)) for name in bank.agents},
                "metrics": {title: _of_metric(logs, k, limits) for k, title in enumerate(REWARDS)},
            }
    return results


def slate_values(user: IntArray, reward: FloatArray, slots: int) -> dict[str, Earned]:
    """The mean reward of a slot of slates (b, 3) of users (b,), by metric, with intervals over users."""
    values: dict[str, Earned] = {}
    for k, metric in enumerate(REWARDS):
        numerator, slates = per_user(user, reward[:, k] / slots, np.ones(len(user)))
        each = ratio_interval(UserSums(numerator, slates))
        assert each.value is not None, "no active user"
        values[metric] = {"value": each.value, "low": each.low, "high": each.high, "n": each.n}
    return values


def _of_metric(logs: list[Log], metric: int, limits: Limits) -> dict[str, Any]:
    agents = list(logs[0].bank.agents)
    cells: dict[str, Any] = {
        estimator: {name: {"estimates": [], "low": [], "high": []} for name in agents} for estimator in ESTIMATORS
    }
    for log in logs:
        outcomes = log.outcomes(agents, metric)
        for name in agents:
            for estimator, interval in evaluate(*log.rows(name, metric), limits, outcomes[name]).items():
                ends = {"estimates": interval.value, "low": interval.low, "high": interval.high}
                for key, value in ends.items():
                    cells[estimator][name][key].append(None if value is None else value / log.num_slots)
    return cells


def judged(cells: dict[str, Any], truth: dict[str, float], live: dict[str, float]) -> Judged:
    """One estimator's estimates of all agents, on logs of one size, against the true values.

    Args:
        cells: agent -> ``{"estimates", "low", "high"}``, a log each; None where nothing could be estimated.
        truth: agent -> its mean at the requests that were logged.
        live: agent -> its mean in the A/B.

    Returns:
        ``winner`` is the share of logs in which the agent with the largest estimate is the A/B's, ``tau`` the mean
        over logs of Kendall's tau-b with the A/B's values (None if no log ranks).
    """
    names = list(cells)
    estimates = np.array([cells[name]["estimates"] for name in names], np.float64)  # (A, logs)
    winner = max(names, key=lambda name: live[name])
    ranked = np.isfinite(estimates).all(axis=0)
    best = np.where(ranked, np.nan_to_num(estimates).argmax(axis=0), -1)
    order = np.array([live[name] for name in names])
    # Many logs rank a few agents alike, and tau takes a millisecond.
    ranks, place = np.unique(rankdata(estimates[:, ranked], axis=0), axis=1, return_inverse=True)
    of_ranks = [kendalltau(column, order).statistic if len(names) > 1 else np.nan for column in ranks.T]
    taus = np.array(of_ranks, np.float64)[place.ravel()]
    taus = taus[np.isfinite(taus)]
    return {
        "agents": {name: _judged_agent(cells[name], truth[name]) for name in names},
        "winner": float((best == names.index(winner)).mean()),
        "tau": float(taus.mean()) if len(taus) else None,
    }


def _judged_agent(cell: dict[str, Any], truth: float) -> JudgedAgent:
    estimates, low, high = (np.array(cell[name], np.float64) for name in ("estimates", "low", "high"))
    known, bounded = np.isfinite(estimates), np.isfinite(low)
    errors = estimates[known] - truth
    return {
        "estimate": float(estimates[known].mean()) if known.any() else None,
        "half_width": float((high - low)[bounded].mean() / 2) if bounded.any() else None,
        "bias": float(errors.mean()) if known.any() else None,
        "rmse": float(np.sqrt((errors**2).mean())) if known.any() else None,
        "covered": int(((low <= truth) & (truth <= high)).sum()),
        "known": int(bounded.sum()),
        "logs": len(estimates),
    }
