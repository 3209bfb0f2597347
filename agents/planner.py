"""The high level: which interest cluster next?"""

import abc

import numpy as np

from agents.base import Learner
from agents.blame import naming_code
from agents.check_slates import described, is_array
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput
from sim.platform import Requests
from sim.random import RandomStream


class Planner(Learner):
    """Chooses level-2 clusters for a batch of users."""

    @abc.abstractmethod
    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot.

        A user's plan must not depend on who else is asked about: draw with ``rng.uniform(requests.user, k)``.

        Returns:
            (B, S) int32, distinct in a row, S = ``requests.num_slots``; level-2 clusters, 0 .. M - 1. There is no
            -1: each slot needs a plan. Planners of novel clusters plan others only where a user has no novel one
            left, as ``agents.novel_choice.choose_novel`` does.
        """


def check_form(plan: IntArray, requests: Requests, num_clusters: int, field: str) -> None:
    """Raise InvalidInput unless a plan is an integer array of shape (B, S)."""
    shape = (len(requests), requests.num_slots)
    if not is_array(plan, shape, "iu"):
        raise InvalidInput(
            field, described(plan), f"propose must return an integer array of shape {shape}, one row a user"
        )


def check_range(plan: IntArray, requests: Requests, num_clusters: int, field: str) -> None:
    """Raise InvalidInput unless a plan's numbers are clusters: 0 .. M - 1, and no -1."""
    _refuse((plan < 0) | (plan >= num_clusters), f"clusters must be in 0 .. {num_clusters - 1}", plan, requests, field)


def check_distinct(plan: IntArray, requests: Requests, num_clusters: int, field: str) -> None:
    """Raise InvalidInput unless a plan's clusters differ within a user."""
    in_order = np.sort(plan, axis=1)
    _refuse(
        in_order[:, 1:] == in_order[:, :-1], "must plan different clusters for a user's slots", plan, requests, field
    )


def _refuse(wrong: BoolArray, expected: str, plan: IntArray, requests: Requests, field: str) -> None:
    if wrong.any():
        row = int(wrong.any(axis=1).argmax())
        raise InvalidInput(field, plan[row].tolist(), f"user {requests.user[row]}: {expected}")


PLAN_RULES = (check_form, check_range, check_distinct)
"""What ``Planner.propose`` promises, in the order in which it is checked."""


def check_plan(plan: IntArray, requests: Requests, num_clusters: int, planner: Planner) -> IntArray:
    """The plan, if it is what ``propose`` promises; cheap enough for every call.

    Raises:
        InvalidInput: names the planner and its file, and the user where one is meant.
    """
    with naming_code(planner):
        for rule in PLAN_RULES:
            rule(plan, requests, num_clusters, f"planner {type(planner).__name__}")
    return plan
