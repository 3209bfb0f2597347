"""The low level: which items within the planned clusters?"""

import abc

from agents.base import Agent, Learner, Recommendations
from agents.blame import naming_code
from agents.check_slates import check_exists, described, is_array
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.platform import Platform, Requests
from sim.random import RandomStream


class Ranker(Learner):
    """Picks items, where asked from some clusters only."""

    def bind(self, production: Agent) -> None:
        """Receive the production recommender before ``fit`` or ``load``; see ``Agent.bind``."""

    @abc.abstractmethod
    def rank(self, requests: Requests, allowed: IntArray | None, rng: RandomStream) -> Recommendations:
        """Fill ``requests.num_slots`` slots for each user.

        Args:
            requests: B users.
            allowed: (B, n) int32 level-2 clusters that the items must come from; None for all.
                Where a user's clusters have fewer than S items left that are alive and not
                excluded, the remaining slots come from all clusters.
            rng: this call's randomness.
        """

    def probability(self, requests: Requests, allowed: IntArray | None, item: IntArray) -> FloatArray | None:
        """The probability that ``rank`` puts items (B,) into the first slot; see ``Agent.probability``.

        Returns:
            (B,) float in [0, 1]; None if the ranker cannot say.
        """
        return None


def check_ranked(slates: Recommendations, requests: Requests, ranker: Ranker, platform: Platform) -> None:
    """Check what ``rank`` returned; whether its items can be shown, ``agents.check_slates.validate`` says of the slate.

    Raises:
        InvalidInput: names the ranker and its file: ``slates`` are no ``Recommendations``, or items are no integer
            array of shape (B, S), or some do not exist, or propensities no array of floats in (0, 1] of that shape.
    """
    field, shape = f"ranker {type(ranker).__name__}", (len(requests), requests.num_slots)
    with naming_code(ranker):
        if not isinstance(slates, Recommendations):
            raise InvalidInput(field, described(slates), "rank must return an agents.base.Recommendations")
        if not is_array(slates.items, shape, "iu"):
            expected = f"rank must return items of shape {shape}, an array of integers"
            raise InvalidInput(field, described(slates.items), expected)
        propensity = slates.propensity
        if propensity is not None and not (
            is_array(propensity, shape, "f") and ((propensity > 0) & (propensity <= 1)).all()
        ):
            expected = f"rank must return propensities of shape {shape}, floats in (0, 1], or None"
            raise InvalidInput(field, described(propensity), expected)
        check_exists(slates, requests, platform, field)
