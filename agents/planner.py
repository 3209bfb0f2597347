"""The high level: which interest cluster next?"""

import abc

import numpy as np

from agents.base import Learner
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.platform import Requests
from sim.random import RandomStream


class Planner(Learner):
    """Chooses level-2 clusters for a batch of users."""

    @abc.abstractmethod
    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot.

        Returns:
            (B, S) int32, distinct in a row, S = ``requests.num_slots``.
        """


def check_plan(plan: IntArray, requests: Requests, num_clusters: int, planner: Planner) -> IntArray:
    """The plan, if it is what ``propose`` promises; cheap enough for every call.

    Raises:
        InvalidInput: names the planner, and the user where one is meant.
    """
    field, shape = f"planner {type(planner).__name__}", (len(requests), requests.num_slots)
    if not isinstance(plan, np.ndarray) or plan.shape != shape or not np.issubdtype(plan.dtype, np.integer):
        actual = f"{plan.dtype} array of shape {plan.shape}" if isinstance(plan, np.ndarray) else type(plan).__name__
        raise InvalidInput(field, actual, f"propose must return an integer array of shape {shape}, one row a user")
    in_order = np.sort(plan, axis=1)
    faults = (
        ((plan < 0) | (plan >= num_clusters), f"clusters must be in 0 .. {num_clusters - 1}"),
        (in_order[:, 1:] == in_order[:, :-1], "must plan different clusters for a user's slots"),
    )
    for wrong, expected in faults:
        if wrong.any():
            row = int(wrong.any(axis=1).argmax())
            raise InvalidInput(field, plan[row].tolist(), f"user {requests.user[row]}: {expected}")
    return plan
