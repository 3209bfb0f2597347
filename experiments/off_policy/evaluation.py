"""All estimators on one log: the estimated rewards of a policy's slates, and the log's support for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from experiments.inference.users import Interval
from experiments.off_policy import actions, slates
from experiments.off_policy.actions import Diagnostics, LoggedActions, Outcomes
from experiments.off_policy.slates import LoggedSlates
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog, check_order

ESTIMATORS: Mapping[str, str] = {
    "logged": "what the log earned, without any weight: whoever is evaluated gets the same",
    "ips": "inverse propensity scoring, each slot by itself: the independent slate estimator",
    "ips_clipped": "IPS with weights clipped",
    "snips": "IPS, divided by the mean weight (self-normalised)",
    "dm": "the reward model alone",
    "dr": "the reward model, corrected by its weighted errors on the log",
    "switch_dr": "doubly robust, the model alone where weights are large",
    "standard": "inverse propensity scoring of whole slates",
    "reward_interaction": "of a slot and those above it (cascade)",
    "pseudo_inverse": "slots' weights added up",
}
"""The estimators of ``evaluate`` and what they are, in the order of tables."""


@dataclass(frozen=True)
class Limits:
    """What bounds weights.

    Attributes:
        clip: largest weight of ``ips_clipped``.
        switch: weight from which ``switch_dr`` leaves a row to the model.
    """

    clip: float
    switch: float


def slates_of(log: InteractionLog, reward: FloatArray, evaluated: FloatArray) -> LoggedSlates:
    """The impressions of a log as slates: the rows of one user, day and step.

    Impressions are what users examined; slots below are in no log of this kind, and count for nothing. A policy of
    whole slates is judged right by what does not need them: each slot by itself, or with those above.

    Rows that no recommender showed (users' own choices and their life before day 0, ``sim.log``) have no propensity.
    Nothing is estimated from them; ``LoggedSlates.left_out`` counts them.

    Args:
        log: R impressions; all others with a propensity.
        reward, evaluated: (R,) float, the reward of each, and the evaluated policy's probability of it.

    Raises:
        InvalidInput: rows out of order or twice (``sim.log.check_order``); see ``LoggedActions``.
    """
    shown = log.recommended
    return LoggedSlates(
        user=log.user[shown],
        slate=_slate_numbers(log)[shown],
        reward=reward[shown],
        propensity=log.propensity[shown],
        evaluated=evaluated[shown],
        left_out=int((~shown).sum()),
    )


def _slate_numbers(log: InteractionLog) -> IntArray:
    """(R,) the number of each row's slate: rows of one user, day and step."""
    check_order(log)
    change = np.zeros(len(log), bool)
    for column in (log.user, log.day, log.step):
        change[1:] |= column[1:] != column[:-1]
    return np.cumsum(change)


def evaluate(
    rows: LoggedSlates,
    marginal: LoggedActions,
    limits: Limits,
    outcomes: Outcomes | None = None,
) -> dict[str, Interval]:
    """Estimate what slates of a policy earn, by every estimator of ``ESTIMATORS``.

    Args:
        rows: the log, with probabilities given the slots above.
        marginal: the same rows with marginal probabilities; of single actions, and in a slate's first slot, these
            are the same.
        limits: for clipping and switching.
        outcomes: what a model of a slot's reward says; without one those that need it are left out.

    Returns:
        Estimator -> the mean reward of a slate, with its interval over users.
    """
    num_slates = len(rows.first)
    if len(rows) != len(marginal) or (rows.reward != marginal.reward).any():
        raise InvalidInput("marginal", len(marginal), f"must be the {len(rows)} rows of the slates, in their order")
    per_slate = len(rows) / max(num_slates, 1)
    single = {
        "logged": actions.ips(replace(marginal, propensity=np.ones(len(rows)), evaluated=np.ones(len(rows)))),
        "ips": actions.ips(marginal),
        "ips_clipped": actions.ips(marginal, limits.clip),
        "snips": actions.snips(marginal),
    }
    if outcomes is not None:
        single |= {
            "dm": actions.dm(marginal, outcomes),
            "dr": actions.dr(marginal, outcomes),
            "switch_dr": actions.switch_dr(marginal, outcomes, limits.switch),
        }
    estimates = {name: _scaled(interval, per_slate) for name, interval in single.items()}
    estimates["standard"] = slates.standard_ips(rows)
    estimates["reward_interaction"] = slates.reward_interaction_ips(rows)
    at_margins = replace(rows, propensity=marginal.propensity, evaluated=marginal.evaluated)
    estimates["pseudo_inverse"] = slates.pseudo_inverse(at_margins)
    return estimates


def _scaled(interval: Interval, factor: float) -> Interval:
    value, low, high = (None if end is None else end * factor for end in (interval.value, interval.low, interval.high))
    return Interval(value, low, high, interval.n)


@dataclass(frozen=True)
class Support:
    """Whether a log supports the evaluation of a policy.

    Attributes:
        slots: ``diagnostics`` of slots' marginal weights.
        slates: of whole slates' weights, a row a slate.
        verdict: in words, what is wrong; empty if nothing is.
    """

    slots: Diagnostics
    slates: Diagnostics
    verdict: str


FEW_ROWS = 100
"""Effective rows below which normal intervals are a poor guide."""

_ROUNDING = 1e-6  # propensities are kept as float32


def support(rows: LoggedSlates, marginal: LoggedActions, limits: Limits) -> Support:
    """Check the weights before any estimate is used.

    A mean weight whose interval excludes 1 has one of two causes, which a log alone cannot tell apart:
    propensities that are not those with which actions were drawn, or (below 1) actions of the policy
    that were never logged.
    """
    of_slots = actions.diagnostics(marginal, limits.clip)
    of_slates = actions.weight_diagnostics(rows.user[rows.first], _slate_weights(rows), limits.clip)
    return Support(of_slots, of_slates, _verdict(of_slots))


def _slate_weights(rows: LoggedSlates) -> FloatArray:
    """(m,) each slate's product of ratios."""
    if not len(rows):
        return np.empty(0)
    return np.asarray(np.multiply.reduceat(rows.ratios(), rows.first))


def _verdict(diagnostics: Diagnostics) -> str:
    mean = diagnostics.mean_weight
    problems = []
    value = 1.0 if mean.value is None else mean.value
    low, high = (value if end is None else end for end in (mean.low, mean.high))  # weights that are all the same
    if not low - _ROUNDING <= 1 <= high + _ROUNDING:
        side = "below" if high < 1 else "above"
        cause = (
            "the policy shows what was never logged, or propensities are wrong"
            if side == "below"
            else "propensities are not those of the logged actions"
        )
        problems.append(f"mean weight {value:.2f} [{low:.2f}, {high:.2f}] is {side} 1: {cause}")
    if diagnostics.effective_rows < FEW_ROWS:
        problems.append(f"worth only {diagnostics.effective_rows:.0f} rows of the policy's own")
    return "; ".join(problems)
