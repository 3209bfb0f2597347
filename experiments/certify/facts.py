"""The eleven facts: targets of each statistic, and verdicts over worlds.

A fact has one or more parts. A part passes if its *whole interval* over worlds meets the target; a fact
passes if all of its parts do. Statistics are defined where they are computed (``consumption``,
``behaviour``, ``probes``, ``measures``).
"""

import math
from dataclasses import dataclass

from experiments.certify.schema import FactRow, Numbers, PartRow, Verdict
from experiments.inference.worlds import t_interval
from sim.hidden.config import WorldConfig

JACCARD_LIVE = 0.17
"""Month-over-month Jaccard of top-5 successors on a live platform (arXiv 2510.20260)."""


@dataclass(frozen=True)
class Part:
    """One statistic of a fact and its target, low <= interval <= high; without limits it is only shown."""

    name: str
    title: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    @property
    def target(self) -> str:
        """The target in words."""
        if math.isinf(self.low) and math.isinf(self.high):
            return "shown, no target"
        sign = ("> ", "< ") if self.strict else ("at least ", "at most ")
        if math.isinf(self.high):
            return f"{sign[0]}{self.low:g}"
        if math.isinf(self.low):
            return f"{sign[1]}{self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def met(self, low: float, high: float) -> bool:
        """Whether the whole interval meets the target; one of nan does not."""
        if self.strict:
            return low > self.low and high < self.high
        return low >= self.low and high <= self.high


@dataclass(frozen=True)
class Fact:
    """A stylised fact: what is claimed, where it and its target come from, its parts."""

    number: int
    title: str
    source: str
    parts: tuple[Part, ...]


def _above(name: str, title: str, low: float = 0.0) -> Part:
    return Part(name, title, low=low, strict=True)


def _below(name: str, title: str, high: float = 0.0) -> Part:
    return Part(name, title, high=high, strict=True)


FACTS = (
    Fact(1, "Retraining on its own log concentrates consumption",
         "Chaney et al. 2018 (direction). Each user has the same number of consumed items under both policies.",
         (_above("gini", "item Gini, greedy minus random"),
          _above("jaccard", "pairwise Jaccard of users' items, greedy minus random"))),
    Fact(2, "Users' weeks narrow under greed, less under exploration",
         "Jiang et al. 2019 (direction). Distinct clusters in 20 watches, so that volume does not count.",
         (_below("greedy_change", "greedy, last week minus first"),
          _above("exploring_minus_greedy", "exploring minus greedy, last week"))),
    Fact(3, "What the policy chooses is liked better than what is random",
         "KuaiRand (Gao et al. 2022) for the design; 2 to 3 times in an analysis of its data "
         "(codingharryhy.github.io). The range around it is our choice.",
         (Part("ratio", "positive rate, policy over random", 1.5, 5.0),
          _above("gap", "calibration gap of the same items"),
          Part("policy_rate", "positive rate under the policy"),
          Part("random_rate", "positive rate under random exposure"))),
    Fact(4, "Popularity is heavy-tailed, clusters are balanced",
         "Cha et al. 2009 and Ito & Shimada 2025 (Zipf-like rank plots of videos); Wang et al. 2024 for balance. "
         "The range is our choice; fitted from the top 1 % to the top 50 % of the consumed items.",
         (Part("zipf", "Zipf exponent of items", 0.8, 1.2),
          _above("flatter", "Gini of traffic, interests minus clusters"))),
    Fact(5, "Videos are skipped or watched, some again, long ones less far",
         "Zhao et al. 2025 (quick skips), KuaiRec (Gao et al. 2022: watch ratios above 1), Zhan et al. 2022 "
         "(duration bias). The bounds are our choice.",
         (_below("valley", "valley of the watched fraction over its lower peak", 0.8),
          Part("replays", "share watched more than once through", 0.05, 0.5),
          _below("fraction_slope", "slope of the watched fraction on log length"),
          _above("seconds_slope", "slope of log seconds watched on log length"))),
    Fact(6, "Sessions are right-skewed, activity is heavy-tailed",
         "No public figure was found; our choice: between geometric and lognormal.",
         (Part("variation", "coefficient of variation of items a session", 0.6, 1.5),
          _above("skewness", "skewness of items a session", 0.5),
          Part("top_share", "watch time of the most active 20 % of users", 0.4, 0.9))),
    Fact(7, "Repeats of one interest lose value, which returns over days",
         "Gao et al. 2023, CIRS (direction). The bounds are our choice.",
         (Part("drop", "value lost by the 12th showing in a row", 0.1, 0.6),
          Part("recovery", "share of the loss recovered after 7 days", 0.5, 1.2))),
    Fact(8, "The novel is liked less than the familiar at first",
         "The short-term cost of exploration (Wang et al. 2024); target 0 is our choice.",
         (_below("difference", "positive rate, novel minus familiar clusters"),
          Part("novel_rate", "positive rate on novel clusters"),
          Part("familiar_rate", "positive rate on familiar clusters"))),
    Fact(9, "What goes with what drifts, as fast as the dial says",
         "Month-over-month top-5 Jaccard of 0.17 on a live platform (arXiv 2510.20260).",
         (_above("none", "overlap of successors after 30 days, drift 0", JACCARD_LIVE),
          _below("strongest", "the same, drift 0.1 a day", JACCARD_LIVE),
          Part("wrong_way", "largest rise of overlap with more drift", high=0.0))),
    Fact(10, "Exploration pays only where there is something to find",
         "Our proposal: the negative control has neither satiation nor dormant interests. The bounds are our choice.",
         (_below("control", "watch time, blind exploring over greedy, in the control twin", 0.01),
          _above("informed", "watch time, informed exploring over greedy, here"),
          Part("exploring", "watch time, blind exploring over greedy, here"))),
    Fact(11, "Taste decides: knowing whom it serves pays a recommender",
         "Gomez-Uribe & Hunt 2015 (direction: what is personalised is taken up more than what is popular). "
         "The bounds are our choice.",
         (_above("over_popular", "positive rate, greedy over the same policy without users' own rates", 1.25),
          _above("loved_lift", "share of impressions on loved interests, greedy over random", 2.0),
          Part("loved_share", "share of impressions on loved interests, greedy"))),
)  # fmt: skip


def judge(parts: list[dict[str, float]], config: WorldConfig) -> list[FactRow]:
    """The certificate's rows, one a fact, with numbers and verdict of the part that decides.

    That is the first one that fails, else the first. Numbers that are not defined are None, and fail.

    Args:
        parts: ``measure(...)["parts"]`` of each world.
        config: the world; says which facts must fail in it by construction.
    """
    impossible = fails_by_construction(config)
    rows: list[FactRow] = []
    for fact in FACTS:
        judged = [_judged(part, [world[f"{fact.number} {part.name}"] for world in parts]) for part in fact.parts]
        decides = next((row for row in judged if row["verdict"] == "fail"), judged[0])
        rows.append(
            {
                "fact": f"{fact.number}. {fact.title}",
                "value": decides["value"],
                "low": decides["low"],
                "high": decides["high"],
                "target": decides["target"],
                "verdict": "fail" if any(row["verdict"] == "fail" for row in judged) else "pass",
                "decided_by": decides["part"],
                "source": fact.source,
                "must_fail": impossible.get(fact.number),
                "parts": judged,
            }
        )
    return rows


def numbers_of(values: list[float]) -> Numbers:
    """The mean of worlds' values with its interval."""
    value, low, high = (each if math.isfinite(each) else None for each in t_interval(values))
    return {"value": value, "low": low, "high": high}


def _judged(part: Part, values: list[float]) -> PartRow:
    _, low, high = t_interval(values)
    shown = math.isinf(part.low) and math.isinf(part.high)
    verdict: Verdict = "shown" if shown else "pass" if part.met(low, high) else "fail"
    return {"part": part.title, **numbers_of(values), "target": part.target, "verdict": verdict}


def fails_by_construction(config: WorldConfig) -> dict[int, str]:
    """Facts whose mechanism is switched off in this world, and why each must therefore fail."""
    reasons = {}
    if config.dynamics.satiation_per_watch == 0 or config.response.satiation_weight == 0:
        reasons[7] = "there is no satiation, so repeats lose nothing"
    if config.population.discovered_share == 1:
        reasons[9] = "no interest is dormant on day 0, so there are no successors to compare"
        reasons[10] = "no interest is dormant, so informed exploration has nothing to find"
    return reasons
