"""Diversions: who is in which arm, what an arm can show, and whose log its models learn from.

| diversion | users | corpus | models learn from |
|---|---|---|---|
| ``twins`` | everyone in every arm, each arm in a copy of the world | all items | their own arm's log |
| ``split`` | each in one arm | all items | their own arm's log |
| ``shared`` | each in one arm | all items | all arms' logs, as on most live platforms; one production |
| ``codiverted`` | each in one arm | each item in one arm | their own arm's log |

In ``shared`` an arm profits from what another arm's exploration finds out: its estimate of a
difference is biased towards none (interference through data). ``codiverted`` prevents that,
and lets an arm's effect on what becomes of new items show, at the price of a smaller corpus
(user-corpus co-diversion; Wang et al. 2023, "Fresh Content Needs More Attention", and Su et al. 2024,
"Long-Term Value of Exploration", use it at YouTube).
"""

from dataclasses import dataclass, replace

import numpy as np

from experiments.study.protocol import ExperimentConfig
from experiments.study.study import Study
from sim.arrays import BoolArray, IntArray
from sim.catalog import Catalog
from sim.random import RandomStream


@dataclass(frozen=True)
class Corpus:
    """One arm's part of the items: item j is in part floor(u_j ``parts``), u_j uniform by a named stream.

    Attributes:
        part: which of the parts.
        parts: how many there are.
        stream: draws u, which is the same in every arm.
    """

    part: int
    parts: int
    stream: RandomStream

    def holds(self, items: IntArray) -> BoolArray:
        """(n,) bool: which items (n,) belong to the arm."""
        return np.asarray(_part(self.stream.at("corpus"), items, self.parts) == self.part)

    def offered(self, catalog: Catalog) -> Catalog:
        """The catalog as the arm's recommenders see it: other arms' items can be shown on no day."""
        own = self.holds(np.arange(catalog.num_items))
        return replace(catalog, expiry_day=np.where(own, catalog.expiry_day, catalog.upload_day))


def offered(corpus: Corpus | None, catalog: Catalog) -> Catalog:
    """The catalog as an arm's recommenders see it: all of it where the arm has no part of its own."""
    return catalog if corpus is None else corpus.offered(catalog)


def assigned_users(study: Study, arm: str) -> IntArray:
    """(U,) int64, ascending: everybody in ``twins``; else each user is in one arm, drawn by a named stream.

    The draw is the same in all diversions but twins, so that they can be compared.
    """
    users = np.arange(study.world.num_users)
    arms = study.experiment.arms
    if study.experiment.diversion == "twins":
        return users
    return np.flatnonzero(_part(study.common_stream.at("diversion"), users, len(arms)) == arms.index(arm))


def corpus_of(study: Study, arm: str) -> Corpus | None:
    """The arm's part of the items, or None where it has them all."""
    if study.experiment.diversion != "codiverted":
        return None
    return Corpus(study.experiment.arms.index(arm), len(study.experiment.arms), study.common_stream)


def arms_that_matter(experiment: ExperimentConfig) -> list[str]:
    """In ``twins`` an arm doesn't depend on which others there are; else its users do."""
    return [] if experiment.diversion == "twins" else list(experiment.arms)


def groups_of(experiment: ExperimentConfig) -> list[tuple[str, ...]]:
    """The arms, those that live in one copy of the world together."""
    arms = experiment.arms
    return [arms] if experiment.diversion == "shared" else [(name,) for name in arms]


def _part(stream: RandomStream, ids: IntArray, parts: int) -> IntArray:
    return np.asarray((stream.uniform(ids, 1)[:, 0] * parts).astype(np.int64))
