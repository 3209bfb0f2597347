"""The facts: targets of each statistic, and verdicts over worlds.

A fact has one or more parts. A part passes if its *whole interval* over worlds meets the target; a fact passes if all
of its parts do. (The control of fact 20 passes if its interval holds 1.) Statistics are defined where they are computed
(``consumption``, ``behaviour``, ``probes``, ``engagement``, ``knowledge``, ``measures``).

Where a part's title names a public figure, the target is that figure with ``BAND`` of it on either side, unless a
narrower band is given; the width is our choice. Facts 1, 2, 4 to 6 and 10 are of all that users see, their own choices
included; 3, 8 and 11 to 19 of what a policy shows.
"""

import math
from dataclasses import dataclass

from experiments.certify.schema import FactRow, Numbers, PartRow, Verdict
from experiments.inference.worlds import t_interval
from sim.hidden.config import WorldConfig

JACCARD_LIVE = 0.17
"""Month-over-month Jaccard of top-5 successors on a live platform (arXiv 2510.20260)."""

BAND = 0.3
"""How far a statistic may be from its public figure, as a share of it."""


@dataclass(frozen=True)
class Part:
    """One statistic of a fact and its target: low <= interval <= high, or ``contains`` in it; or it is only shown."""

    name: str
    title: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    contains: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the statistic has no target."""
        return math.isinf(self.low) and math.isinf(self.high) and self.contains is None

    @property
    def target(self) -> str:
        """The target in words."""
        if self.contains is not None:
            return f"interval with {self.contains:g} in it"
        if self.shown:
            return "shown, no target"
        sign = ("> ", "< ") if self.strict else ("at least ", "at most ")
        if math.isinf(self.high):
            return f"{sign[0]}{self.low:g}"
        if math.isinf(self.low):
            return f"{sign[1]}{self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def met(self, low: float, high: float) -> bool:
        """Whether the whole interval meets the target; one of nan does not."""
        if self.contains is not None:
            return low <= self.contains <= high
        if self.strict:
            return low > self.low and high < self.high
        return low >= self.low and high <= self.high


@dataclass(frozen=True)
class Fact:
    """A stylised fact: what is claimed, where it and its target come from, its parts."""

    number: int
    id: str
    title: str
    source: str
    parts: tuple[Part, ...]


def _above(name: str, title: str, low: float = 0.0) -> Part:
    return Part(name, title, low=low, strict=True)


def _below(name: str, title: str, high: float = 0.0) -> Part:
    return Part(name, title, high=high, strict=True)


def _near(name: str, title: str, figure: float) -> Part:
    """A statistic with a public figure."""
    return Part(name, f"{title} (public: {figure:g})", round(figure * (1 - BAND), 4), round(figure * (1 + BAND), 4))


FACTS = (
    Fact(1, "feedback_loop", "Retraining on its own log concentrates consumption",
         "Chaney et al. 2018 (direction). Each user has the same number of consumed items under both policies.",
         (_above("gini", "item Gini, greedy minus random"),
          _above("jaccard", "pairwise Jaccard of users' items, greedy minus random"))),
    Fact(2, "narrowing", "Users' weeks narrow under greed, less under exploration",
         "Jiang et al. 2019 (direction). Distinct clusters in 20 watches, so that volume does not count.",
         (_below("greedy_change", "greedy, last week minus first"),
          _above("exploring_minus_greedy", "exploring minus greedy, last week"))),
    Fact(3, "policy_over_random", "What the policy chooses is liked better than what is random",
         "KuaiRand-Pure (Gao et al. 2022): long views under the policy and at random, as recomputed by others.",
         (_near("ratio", "positive rate, policy over random", 3.9),
          _near("same_ratio", "the same of the same items", 2.76),
          _near("gap", "calibration gap of the same items", 0.176),
          _near("policy_rate", "positive rate under the policy", 0.33),
          _near("random_rate", "positive rate under random exposure", 0.083))),
    Fact(4, "popularity", "Popularity is heavy-tailed, clusters are balanced",
         "Cha et al. 2009 and Ito & Shimada 2025 (Zipf-like rank plots of videos); Wang et al. 2024 for balance. "
         "The range is our choice; fitted from the top 1 % to the top 50 % of the consumed items.",
         (Part("zipf", "Zipf exponent of items", 0.8, 1.2),
          _above("flatter", "Gini of traffic, interests minus clusters"))),
    Fact(5, "watching", "Videos are skipped or watched, some again, long ones less far",
         "Zhao et al. 2025 (quick skips), KuaiRec (Gao et al. 2022: watch ratios above 1), Zhan et al. 2022 "
         "(duration bias). The bounds are our choice.",
         (_below("valley", "valley of the watched fraction over its lower peak", 0.8),
          Part("replays", "share watched more than once through", 0.05, 0.5),
          _below("fraction_slope", "slope of the watched fraction on log length"),
          _above("seconds_slope", "slope of log seconds watched on log length"))),
    Fact(6, "sessions", "Sessions are right-skewed, activity is heavy-tailed",
         "No public figure was found; our choice: between geometric and lognormal.",
         (Part("variation", "coefficient of variation of items a session", 0.6, 1.5),
          _above("skewness", "skewness of items a session", 0.5),
          Part("top_share", "watch time of the most active 20 % of users", 0.4, 0.9))),
    Fact(7, "satiation", "Repeats of one interest lose value, which returns over days",
         "Gao et al. 2023, CIRS (direction). The bounds are our choice.",
         (Part("drop", "value lost by the 12th showing in a row", 0.1, 0.6),
          Part("recovery", "share of the loss recovered after 7 days", 0.5, 1.2))),
    Fact(8, "novelty_cost", "The novel is liked less than the familiar at first",
         "The short-term cost of exploration (Wang et al. 2024); target 0 is our choice.",
         (_below("difference", "positive rate, novel minus familiar clusters"),
          Part("novel_rate", "positive rate on novel clusters"),
          Part("familiar_rate", "positive rate on familiar clusters"))),
    Fact(9, "drift", "What goes with what drifts, as fast as the dial says",
         "Month-over-month top-5 Jaccard of 0.17 on a live platform (arXiv 2510.20260).",
         (_above("none", "overlap of successors after 30 days, drift 0", JACCARD_LIVE),
          _below("strongest", "the same, drift 0.1 a day", JACCARD_LIVE),
          Part("wrong_way", "largest rise of overlap with more drift", high=0.0))),
    Fact(10, "exploration_pays", "Exploration pays only where there is something to find",
         "Our proposal: the negative control has neither satiation nor dormant interests. The bounds are our choice.",
         (_below("control", "watch time, blind exploring over greedy, in the control twin", 0.01),
          _above("informed", "watch time, informed exploring over greedy, here"),
          Part("exploring", "watch time, blind exploring over greedy, here"))),
    Fact(11, "personal_gain", "Taste decides: knowing whom it serves pays a recommender",
         "Gomez-Uribe & Hunt 2015 (direction: what is personalised is taken up more than what is popular). "
         "The bounds are our choice.",
         (_above("over_popular", "positive rate, greedy over the same policy without users' own rates", 1.25),
          _above("loved_lift", "share of impressions on loved interests, greedy over random", 2.0),
          Part("loved_share", "share of impressions on loved interests, greedy"))),
    Fact(12, "true_interest", "Engagement is a rough sign of true interest",
         "Meta 2026 (UTIS, by summaries): precision .483 and recall .454 of engagement, against a survey.",
         (_near("precision", "share of positives on loved interests, policy", 0.483),
          Part("recall", "positive rate on loved interests, policy"))),
    Fact(13, "concentration", "A user's positives are concentrated in few clusters",
         "KuaiRand-Pure: share of a user's positives in their commonest category, and the one after it.",
         (_near("top", "share in the commonest cluster, median user", 0.35),
          _near("second", "share in the second", 0.19),
          _near("top_of_heavy_users", "share in the commonest, a tenth of users with most positives", 0.26))),
    Fact(14, "earlier_positives", "Who liked a cluster before likes it more",
         "KuaiRand: a long view is 1.3 times as likely after an earlier one of the same creator. Nothing is published "
         "for categories; the bound is our choice.",
         (_above("ratio", "positive rate after earlier positives in the cluster, over that without any", 1.2),
          Part("deep", "clusters of a user with 5 or more positives"))),
    Fact(15, "others_likes", "What others like tells a part of what a user likes, and their own past another",
         "KuaiRand: within-user AUC on long views of item popularity .58 to .63, "
         "of a model of ids .66. The band, .05, is our choice.",
         (Part("popularity", "within-user AUC of item popularity (public: .58 to .63)", 0.53, 0.68),
          Part("id_model", "within-user AUC of a model of ids (public: .66)", 0.61, 0.71))),
    Fact(16, "place_in_session", "Positives get rarer within a session",
         "KuaiRand: long views by place, .418 at the first, .300, .240 and .143 at those below.",
         (_near("place_6_10", "positive rate at places 6 to 10, over the first", 0.72),
          _near("place_11_20", "at places 11 to 20", 0.57),
          _near("place_51", "beyond 50", 0.34))),
    Fact(17, "activity", "Who watches less a day likes more of it",
         "KuaiRand-Pure: positive rate .296 of full activity, .412 of low activity.",
         (_near("ratio", "positive rate, most over least active third of users", 0.72),)),
    Fact(18, "signals", "Likes are rare, dislikes hardly there",
         "KuaiRand: likes .016 to .019 of impressions, dislikes .0005.",
         (_near("likes", "share of impressions liked", 0.0175),
          Part("dislikes", "share of impressions disliked (public: .0005)", 0.0, 0.001))),
    Fact(19, "exposure", "Exposure is concentrated, and most users are back the next day",
         "KuaiRand-Pure: Gini index of exposure .73; next active day after 1, 2, 3 days: .62, .17, .08.",
         (_near("gini", "Gini index of impressions over items", 0.73),
          _near("next_day", "share of active days followed by one on the next day", 0.62),
          _near("second_day", "... by one on the day after", 0.17))),
    Fact(20, "room_for_knowledge", "It helps a planner to know which interests go together",
         "Our proposal; bounds are our choice. The control exchanges the interests that personas name, at random.",
         (Part("ratio", "aim, persona oracle over random novel clusters", low=3.0),
          Part("control", "the same of an oracle with wrong personas; its interval has to hold 1", contains=1.0),
          Part("personal", "the ratio, over what it is where proposals go to other users"),
          Part("oracle", "proposals on dormant interests, persona oracle"),
          Part("random", "proposals on dormant interests, random novel clusters"),
          Part("linked", "share of pairs of interests that share a persona"))),
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
                "id": fact.id,
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
    mean, low, high = t_interval(values)
    verdict: Verdict = "shown" if part.shown else "pass" if part.met(low, high) else "fail"
    return {
        "id": part.name,
        "part": part.title,
        **numbers_of(values),
        "target": part.target,
        "verdict": verdict,
        "why": _why(part, mean, len(values)) if verdict == "fail" else None,
    }


def _why(part: Part, mean: float, num_worlds: int) -> str:
    """Why a part fails: a better world is needed, or more worlds."""
    if math.isnan(mean):
        return "not defined in every world"
    if not part.met(mean, mean):
        return "mean off the target"
    return f"mean on target, interval too wide ({num_worlds} worlds)"


def fails_by_construction(config: WorldConfig) -> dict[int, str]:
    """Facts whose mechanism is switched off in this world, and why each must therefore fail."""
    reasons = {}
    if config.dynamics.satiation_per_watch == 0 or config.response.satiation_weight == 0:
        reasons[7] = "there is no satiation, so repeats lose nothing"
    if config.population.discovered_share == 1:
        reasons[9] = "no interest is dormant on day 0, so there are no successors to compare"
        reasons[10] = "no interest is dormant, so informed exploration has nothing to find"
        reasons[20] = "no interest is dormant, so no planner has anything to find"
    if config.prior.days == 0:
        reasons[20] = "users arrive without a history, so that no planner knows anything of them"
    return reasons
