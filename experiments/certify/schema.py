"""What ``certificate.json`` holds."""

from typing import Any, Literal

from typing_extensions import TypedDict


class Numbers(TypedDict):
    """A mean over worlds with its 95 % interval; ``None`` where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


Verdict = Literal["pass", "fail", "shown"]


class PartRow(Numbers):
    """A statistic of a fact and its target; ``why`` it fails, else ``None``."""

    id: str
    part: str
    target: str
    verdict: Verdict
    why: str | None


class FactRow(Numbers):
    """A fact: its deciding part's numbers, and all parts; ``must_fail`` says why it cannot hold here."""

    id: str
    fact: str
    target: str
    verdict: Literal["pass", "fail"]
    decided_by: str
    source: str
    must_fail: str | None
    parts: list[PartRow]


class Certificate(TypedDict):
    """A world's certificate."""

    world: str
    seeds: list[int]
    days: int
    facts: list[FactRow]
    clusters: dict[str, Numbers]
    volumes: dict[str, Numbers]
    warm_up_days: int
    config: dict[str, Any]
