"""Best of n: the language model proposes clusters, a model of users' feedback picks among them."""

from pathlib import Path

from agents.llm.feedback_scorer import FeedbackScorer
from agents.llm.planner import LLMTablePlanner
from agents.novel_choice import choose_novel_by_slot
from agents.planner import Planner
from sim.arrays import IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Positive, checks_arguments


@checks_arguments
class BestOfNPlanner(Planner):
    """Takes the best of n proposals (after Wang et al. 2025, "User feedback alignment for LLM-powered
    exploration in large-scale recommendation systems", arXiv 2504.05522).

    There, one language model proposes novel clusters, sampled n times, and another one, trained on users'
    feedback to such clusters, picks the best. Here the proposals for a slot are the first n different clusters that
    ``LLMTablePlanner`` would come to for it, all new to the user and in no earlier slot, and a ``FeedbackScorer``
    picks; of equal ones the first. With n = 1 nothing is left to pick, and the plan is ``LLMTablePlanner``'s.

    Args:
        table: folder of a ``TransitionTable``.
        n: proposals that compete for a slot; fewer where the sampled pairs offer fewer.
        half_life_days: after how many days feedback counts half.
        l2: penalty on individual tastes; see ``FeedbackScorer``.

    Raises:
        InvalidInput: a setting makes no sense, the encoder's weights are missing, or there is no whole table;
            from ``fit`` and ``load``: it is for other clusters.
    """

    def __init__(self, table: str, n: Count = 5, half_life_days: Positive = 7.0, l2: Positive = 100.0) -> None:
        self.n = n
        self._proposer = LLMTablePlanner(table)
        self._scorer = FeedbackScorer(half_life_days, l2)

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from the burn-in log users' feedback on clusters that are new to them."""
        self._proposer.fit(platform, log, rng)
        self._scorer.fit(platform, log)

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot; see ``Planner.propose``."""
        candidates = self._proposer.candidates(requests, rng)  # (B, S, c)
        scores = self._scorer.scores(requests, candidates.reshape(len(requests), -1)).reshape(candidates.shape)
        consumed = self._scorer.platform.consumed_clusters(requests.user)
        return choose_novel_by_slot(candidates, consumed, rng.at("fallback"), requests.user, scores, self.n)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Add the day's feedback and learn anew."""
        self._scorer.update(log)

    def save(self, folder: Path) -> None:
        """Write the scorer; the table stays where it was."""
        self._proposer.save(folder)
        self._scorer.save(folder)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self._proposer.load(folder, platform)
        self._scorer.load(folder, platform)
