"""Agents that serve in the A/B, frozen as they were fitted, or learning daily."""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from agents.novelty import novel_rows
from experiments.arena.rewards import rewards_of
from experiments.arena.sides import FrozenRunCallbacks, live_frozen, side_of
from experiments.live.arm_stages import read_arm
from experiments.live.pipeline import consumed_before
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.hidden.serving_day import Served
from sim.log import OWN
from sim.platform import Platform, Requests
from sim.random import RandomStream


def live_stage(study: Study, name: str, before: Stage, clustered: Stage, fitted: Stage | None) -> Stage:
    """Let an agent serve everybody for the A/B's days, frozen, in a twin world.

    ``live.safetensors`` holds, of every first request of a day, its user (b,) and its slate's reward (b, 3);
    and all (3,), the sum of rewards of all requests.
    """
    first, num = study.experiment.burn_in_days, study.experiment.days

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arm, agent = side_of(study, name, before, clustered, fitted)
        watch = _Sums(arm.platform)
        live_frozen(arm, agent, range(first, first + num), RandomStream(study.seed, "arena live", name), watch)
        save_file(watch.arrays(), folder / "live.safetensors")

    config = {"agent": name, "days": [first, first + num], "slots": study.experiment.slots}
    digests = [before.digest, clustered.digest, "" if fitted is None else fitted.digest]
    return run_stage(study.cache_dir, f"arena-live-{name}", make, config=config, inputs=digests)


class _Sums(FrozenRunCallbacks):
    """Adds up what slates earn."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: BoolArray  # (B, M) clusters that the users had consumed from before the request
        self._user: list[IntArray] = []
        self._first: list[FloatArray] = []
        self._all = np.zeros(3)

    def on_requests(self, step: int, requests: Requests) -> None:
        self._known = self._platform.consumed_clusters(requests.user)

    def on_served(self, served: Served) -> None:
        filed = self._platform.cluster_of_item[served.slates.items]
        reward = rewards_of(served.feedback, self._known, filed).sum(axis=1)  # (B, 3)
        self._all += reward.sum(axis=0)
        if served.step == 0:
            self._user.append(served.user)
            self._first.append(reward)

    def arrays(self) -> dict[str, FloatArray]:
        """What ``live_stage`` keeps."""
        return {"user": np.concatenate(self._user), "reward": np.concatenate(self._first), "all": self._all}


def read_live(stage: Stage) -> dict[str, FloatArray]:
    """What ``live_stage`` wrote."""
    return dict(load_file(stage.folder / "live.safetensors"))


def read_learning(study: Study, name: str, stage: Stage, clustered: Stage) -> dict[str, FloatArray]:
    """As ``read_live``, of an arm of the usual A/B that had the whole feed, and learned daily."""
    log, _ = read_arm(study, name, stage)
    novel = novel_rows(log, consumed_before(clustered))
    feed = log.source != OWN
    log, novel = log.where(feed), novel[feed]
    reward = np.stack([log.positive, log.watch_seconds, log.positive & novel], axis=1).astype(np.float64)
    first = log.step == 0
    visit = log.user[first] * (int(log.day.max(initial=0)) + 1) + log.day[first]
    visits, place = np.unique(visit, return_inverse=True)
    slates = np.stack([np.bincount(place, column, len(visits)) for column in reward[first].T], axis=1)
    user = visits // (int(log.day.max(initial=0)) + 1)
    return {"user": user, "reward": slates, "all": reward.sum(axis=0)}
