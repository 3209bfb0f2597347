"""What ``arena.json`` holds; metrics are named as in ``experiments.arena.rewards.REWARDS``, values are a slot's."""

from typing import Any

from typing_extensions import TypedDict


class Earned(TypedDict):
    """The mean reward of a slot, with its 95 % interval over ``n`` users."""

    value: float
    low: float | None
    high: float | None
    n: int


class JudgedAgent(TypedDict):
    """One estimator's estimates of one agent on logs of one size, against what is true."""

    estimate: float | None
    half_width: float | None
    bias: float | None
    rmse: float | None
    covered: int
    known: int
    logs: int


class Ranked(TypedDict):
    """How values rank the agents against the A/B: Kendall's tau, and how often the winner is the A/B's."""

    tau: float | None
    winner: float


class Judged(Ranked):
    """One estimator over all agents."""

    agents: dict[str, JudgedAgent]


class Total(TypedDict):
    """One estimator over all agents: median error as a share of the truth, share of intervals that hold it."""

    rmse: float | None
    covered: float


class Limits(TypedDict):
    """How the truth, and the part of it that is in the log's reach, rank the agents."""

    seen: Ranked
    truth: Ranked


class SizeRow(TypedDict):
    """Logs of one size; ``metrics`` is metric -> estimator -> its accuracy."""

    logs: int
    support: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Judged]]


class PolicyRow(TypedDict):
    """One logging policy's logs; truth, seen and reach by agent."""

    requests: int
    truth: dict[str, dict[str, Earned]]
    seen: dict[str, dict[str, float]]
    reach: dict[str, float]
    limits: dict[str, Limits]
    sizes: dict[str, SizeRow]


class ArenaResults(TypedDict):
    """Results of an arena: agents, the least exploring first, their rewards, and estimates from logs."""

    seed: int
    slots: int
    agents: list[str]
    novel: dict[str, float]
    live: dict[str, dict[str, Earned]]
    learning: dict[str, dict[str, Earned]]
    per_user_day: dict[str, dict[str, float]]
    logging: dict[str, PolicyRow]
