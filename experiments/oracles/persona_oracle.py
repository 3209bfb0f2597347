"""The persona oracle: a planner that reads which interests go together, but no user's state.

Privileged: it reads the personas and the items' true interests, which no recommender may. It stands where the
language model stands (Wang et al. 2024, section 3.2): two clusters of the user's history go in, ranked next
clusters come out. It is a control, and no bound: it shows what a rule with the true personas, and no
user, plans from there; another rule over the same knowledge, or one that saw more of the history, may plan better.
"""

from dataclasses import replace

import numpy as np

from agents.llm.planner import TRIES
from agents.novel_choice import best_first, choose_novel_by_slot
from agents.transitions import sample_past
from experiments.oracles.privileged import PrivilegedPlanner
from experiments.oracles.truth import majority_interests
from sim.arrays import FloatArray, IntArray, repeats
from sim.hidden.tree import PersonaLinks
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Share, Whole, checks_arguments

_CHUNK = 4096  # pairs whose score of every cluster is held at a time


@checks_arguments
class PersonaOraclePlanner(PrivilegedPlanner):
    """Plans like a language model that has all personas exactly.

        score(c | c1, c2) = sum_p w_p l_p(m(c)) (l_p(m(c1)) + l_p(m(c2)))

    with w_p the share of persona p in the population, l_p(m) how typical interest m is of it today, and m(c) the
    interest of most of cluster c's live items. Clusters of the pair's own interests are never offered, and none
    that shares no persona with the pair. Ties go at random.

    With ``knowledge`` q below 1 it has a part of them (the *knowledge dial*): each interest that a persona names is
    right with probability q, else one drawn at random takes its place. What is right at some q is right at every
    larger one.

    Args:
        top_n: next clusters offered a pair, as ``llm.top_n``; ``InvalidInput`` unless it is positive.
        knowledge: q.
        deal: which of the random draws; another number, other wrong interests.
    """

    name = "persona_oracle"

    def __init__(self, top_n: Count = 10, knowledge: Share = 1.0, deal: Whole = 0) -> None:
        self.top_n, self.knowledge, self.deal = top_n, knowledge, deal

    def _meet(self, platform: Platform) -> None:
        super()._meet(platform)
        self._of_day: tuple[int, FloatArray, IntArray] | None = None  # see ``_links``

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot; see ``Planner.propose``.

        Raises:
            InvalidInput: nobody has revealed the world, or there are fewer clusters than slots.
        """
        batch, slots = len(requests), requests.num_slots
        past = sample_past(requests, slots * TRIES, 2, rng.at("pairs"))  # (B, S * tries, 2)
        offered = self.next_clusters(past.reshape(-1, 2), rng.at("ties")).reshape(batch, slots, -1)
        consumed = self.platform.consumed_clusters(requests.user)
        return choose_novel_by_slot(offered, consumed, rng.at("fallback"), requests.user)

    def next_clusters(self, pairs: IntArray, rng: RandomStream) -> IntArray:
        """The clusters that go best with each pair (R, 2) of level-2 clusters, -1 where there is no history.

        ``rng`` breaks ties between clusters, as those of an interest are equal.

        Returns:
            (R, top_n) int, best first, -1 where fewer are linked.
        """
        link, interest = self._links()
        distinct, place = np.unique(pairs, axis=0, return_inverse=True)
        best_clusters = np.full((len(distinct), self.top_n), -1)
        for start in range(0, len(distinct), _CHUNK):
            first, second = distinct[start : start + _CHUNK].T
            score = link[first] + link[second]  # (b, M)
            own = (interest == interest[first, None]) | (interest == interest[second, None])
            score[own | (first < 0)[:, None]] = 0.0
            best = best_first(score, rng)[:, : self.top_n]
            linked = np.take_along_axis(score, best, axis=1) > 0
            best_clusters[start : start + len(first), : best.shape[1]] = np.where(linked, best, -1)
        return best_clusters[place.reshape(-1)]

    def _links(self) -> tuple[FloatArray, IntArray]:
        """(M, M) sum_p w_p l_p(m) l_p(m') of clusters, and (M,) their interests; computed once a day."""
        world, platform = self.world, self.platform
        if self._of_day is None or self._of_day[0] != platform.day:
            num_interests, live = world.config.num_interests, platform.live_items()
            filed = platform.cluster_of_item[live]
            interest, _ = majority_interests(
                world.truth.interest[live], filed, platform.clusters.num_clusters, num_interests
            )
            typical = degraded(world.links, num_interests, self.knowledge, self.deal).dense(num_interests)  # (P, I)
            together = (world.tree.persona_weight[:, None] * typical).T @ typical  # (I, I)
            link = np.where((interest < 0) | (interest < 0)[:, None], 0.0, together[np.ix_(interest, interest)])
            # Rounded, so that no order hangs on how a machine adds up.
            self._of_day = (platform.day, np.round(link, 9), interest)
        return self._of_day[1], self._of_day[2]


def degraded(links: PersonaLinks, num_interests: int, knowledge: float, deal: int) -> PersonaLinks:
    """The links of which each is right with probability ``knowledge``, else to a random other interest; see the class.

    A persona never names an interest twice: where it would, the link is left out.
    """
    if knowledge >= 1:
        return links
    stream = RandomStream(deal, "knowledge dial")
    personas, places = links.interest.shape
    rows = np.arange(personas)
    wrong = stream.at("wrong").uniform(rows, places) >= knowledge
    drawn = (stream.at("interest").uniform(rows, places) * num_interests).astype(links.interest.dtype)
    interest = np.where(wrong & (links.interest >= 0), drawn, links.interest)
    interest = np.where(repeats(interest), -1, interest)
    return replace(links, interest=interest, strength=np.where(interest >= 0, links.strength, 0.0))
