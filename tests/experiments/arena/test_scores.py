"""Logs cut from a bank, how often intervals hold a known truth over more than 200 of them, and judging by hand."""

import numpy as np
import pytest
from scipy.stats import binom

from experiments.arena import scores as arena_scores
from experiments.arena.scores import Bank, judged, logs_of, scores
from experiments.arena.settings import ArenaConfig
from experiments.off_policy.probabilities import logging_marginals, probabilities_of
from sim.random import RandomStream
from tests.experiments.off_policy.policies import Fixed, Planning, Reward, requests_of

STREAM = RandomStream(11, "bank")
USERS, REDRAWS, SLOTS, ITEMS = 1500, 60, 2, 6
LOGGING = Fixed([0.5, 0.0, 0.3, 0.2, 0.0, 0.4])
AGENTS = {
    "fixed": Fixed([0.0, 0.8, 0.0, 0.5, 1.0, 0.0], exploration=0.8),
    "planning": Planning([Fixed([0, 1.0, 0, 0, 1.0, 0]), Fixed([1.0, 0, 1.5, 0, 0, 0])]),
    "narrow": Fixed([3.0, 2.0, 1.0, 0, 0, 0], exploration=0.0),
}
REWARD = Reward(SLOTS, "item")
ARENA = ArenaConfig(
    logging={"fixed": {}}, log_days=1, redraws=REDRAWS, draws=2, logging_draws=8, lucks=1, sizes=(800, 8000),
    max_logs=300, clip=2.0, switch=3.0, learning=False,
)  # fmt: skip


def one_hot(items):
    """(..., S, F): a feature an item and slot, so that the model can be right."""
    return np.eye(ITEMS * SLOTS, dtype=np.float32)[items + ITEMS * np.arange(SLOTS)]


@pytest.fixture(scope="module")
def bank():
    """Rewards of 0 or 1 whose mean is ``REWARD``'s, the same for all users."""
    requests = requests_of(USERS, SLOTS)
    columns, probabilities = {}, {name: [] for name in AGENTS}
    others = [LOGGING.recommend(requests, STREAM.at("others", k)) for k in range(ARENA.logging_draws)]
    drawn = {
        name: [agent.recommend(requests, STREAM.at(name).at(k)) for k in range(ARENA.draws)]
        for name, agent in AGENTS.items()
    }
    for redraw in range(REDRAWS):
        rng = STREAM.at("log", redraw)
        slate = LOGGING.recommend(requests, rng)
        rewarded = rng.at("luck").uniform(requests.user, SLOTS) < REWARD(slate.items)
        columns_of_redraw = {
            "propensity": slate.propensity.astype(float),
            "marginal": logging_marginals(LOGGING, requests, slate, others, rng, "log"),
            "reward": rewarded[:, :, None].astype(float),
            "features": one_hot(slate.items),
        }
        for name, values in columns_of_redraw.items():
            columns.setdefault(name, []).append(values)
        for name, agent in AGENTS.items():
            probabilities[name].append(
                probabilities_of(agent, requests, slate.items, drawn[name], STREAM.at(name), name)
            )
    agents = {
        name: {
            "conditional": np.stack([each.conditional for each in probabilities[name]]),
            "marginal": np.stack([each.marginal for each in probabilities[name]]),
            "features": np.mean([one_hot(slate.items) for slate in drawn[name]], axis=0),
            "truth": np.full((USERS, 1), agent.value(REWARD)),
            "seen": np.full((USERS, 1), agent.value(REWARD)),
            "reach": np.ones(USERS),
            "novel": np.zeros(USERS),
        }
        for name, agent in AGENTS.items()
    }
    return Bank(np.asarray(requests.user), {name: np.stack(each) for name, each in columns.items()}, agents)


@pytest.fixture(scope="module")
def results(bank):
    """Of one metric: each is evaluated by itself, as the others are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arena_scores, "REWARDS", {"positive": "positives"})
        return scores(bank, ARENA, STREAM.at("scores"))


def test_logs_share_no_users_redraw_and_fill_up(bank):
    logs = logs_of(bank, 400, 1000, STREAM)
    assert len(logs) == USERS * REDRAWS // 400 == 225
    units = [set(log.unit.tolist()) for log in logs]
    assert sum(map(len, units)) == len(set().union(*units)) == 225 * 400
    for log in logs[:5]:
        assert (log.unit == log.redraw * USERS + log.request).all()
        rows, single = log.rows("fixed", 0)
        assert len(rows.first) == 400
        place = log.redraw[3], log.request[3]
        assert rows.reward[6:8].tolist() == bank.logged["reward"][(*place, slice(None), 0)].tolist()
        assert single.evaluated[6:8] == pytest.approx(bank.agents["fixed"]["marginal"][place])
    assert len(logs_of(bank, 400, 7, STREAM)) == 7
    assert logs_of(bank, USERS * REDRAWS + 1, 7, STREAM) == []


@pytest.mark.parametrize("agent", ["fixed", "planning"])
@pytest.mark.parametrize("estimator", ["ips", "snips", "dr", "standard", "reward_interaction"])
def test_intervals_hold_the_truth_as_often_as_they_say_over_225_logs(results, estimator, agent):
    """Every action of these agents may be logged, rewards are as each estimator assumes, and so 95 % hold."""
    cell = results["sizes"]["800"]["metrics"]["positive"][estimator]
    truth = results["truth"][agent]["positive"]["value"]
    judgement = judged({agent: cell[agent]}, {agent: truth}, {agent: truth})["agents"][agent]
    assert judgement["logs"] == judgement["known"] == 225
    low, high = binom.ppf([0.0005, 0.9995], 225, 0.95)
    assert low - 5 <= judgement["covered"] <= high  # normal intervals from 400 slates: a little too short
    spread = judgement["rmse"] / np.sqrt(225)
    assert abs(judgement["bias"]) < 4 * spread


def test_the_naive_mean_and_a_clipped_one_do_not(results):
    for estimator, agent in (("logged", "narrow"), ("ips_clipped", "narrow")):
        cell = results["sizes"]["8000"]["metrics"]["positive"][estimator]
        truth = results["truth"][agent]["positive"]["value"]
        judgement = judged({agent: cell[agent]}, {agent: truth}, {agent: truth})["agents"][agent]
        assert judgement["covered"] < 0.8 * judgement["logs"]
        assert abs(judgement["bias"]) > 4 * judgement["rmse"] / np.sqrt(judgement["logs"]) / 2


def test_values_are_a_slots(results):
    assert results["truth"]["fixed"]["positive"]["value"] == pytest.approx(AGENTS["fixed"].value(REWARD) / SLOTS)
    cell = results["sizes"]["8000"]["metrics"]["positive"]["ips"]["fixed"]
    assert np.mean(cell["estimates"]) == pytest.approx(AGENTS["fixed"].value(REWARD) / SLOTS, rel=0.05)
    assert results["sizes"]["8000"]["logs"] == 22


def test_judging_by_hand():
    cells = {
        "a": {"estimates": [1.0, 3.0, None], "low": [0.5, 2.5, None], "high": [1.5, 3.5, None]},
        "b": {"estimates": [2.0, 2.0, 2.0], "low": [1.0, 1.0, None], "high": [3.0, 3.0, None]},
    }
    judgement = judged(cells, {"a": 1.2, "b": 2.5}, {"a": 1.0, "b": 5.0})
    assert judgement["agents"]["a"] == {
        "estimate": 2.0,
        "half_width": 0.5,
        "bias": pytest.approx(0.8),
        "rmse": pytest.approx((0.04 / 2 + 3.24 / 2) ** 0.5),
        "covered": 1,
        "known": 2,
        "logs": 3,
    }
    assert (judgement["agents"]["b"]["covered"], judgement["agents"]["b"]["known"]) == (2, 2)
    assert judgement["winner"] == pytest.approx(1 / 3)  # the first log alone has b above a; the third does not rank
    assert judgement["tau"] == pytest.approx(0.0)  # 1 and -1
