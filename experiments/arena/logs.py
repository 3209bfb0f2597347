"""Logs of logging policies: whole slates of each user's first request of a day, drawn several times."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from agents.base import Agent, Requests
from agents.check import validate
from experiments.arena.rewards import rewards_of
from experiments.arena.settings import ArenaConfig
from experiments.arena.sides import FrozenRunCallbacks, live_frozen, logging_side
from experiments.live.arms import Arm
from experiments.off_policy.probabilities import drawn_slates, logging_marginals
from experiments.off_policy.reward_model import PastRates, features
from experiments.plugins import outside_digests
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.arrays import FloatArray
from sim.errors import InvalidInput
from sim.files import folder_written_whole
from sim.log import InteractionLog
from sim.random import RandomStream


def logged_days(study: Study, arena: ArenaConfig) -> range:
    """The days that are logged: those after the burn-in."""
    return range(study.experiment.burn_in_days, study.experiment.burn_in_days + arena.log_days)


def log_stage(study: Study, arena: ArenaConfig, name: str, before: Stage, clustered: Stage) -> Stage:
    """Let a logging policy serve everybody, frozen, and write down what it shows at first requests of a day.

    Every request is drawn R times, before it is served: what the policy might show at the same request
    to the same user, and the feedback that would follow, each time with other random draws. That makes R independent
    logs. All slots are kept, also those that a user does not get to.

    The folder holds, for each day, ``day_DDDD.safetensors`` with user (B,), and of the draws items,
    propensity (given the slots above) and marginal (R, B, S), reward (R, B, S, 3) and features (R, B, S, F);
    and in ``day_DDDD/`` the world and the platform's records before it.
    """
    days = logged_days(study, arena)
    entries = arena.logging[name]

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        arm, policy = logging_side(study, name, entries, before, clustered)
        arm.name = f"logging policy {name}"
        log = InteractionLog.read(clustered.folder / "log.parquet")
        stream = RandomStream(study.seed, "logging", name)
        live_frozen(arm, policy, days, stream.at("serve"), _Writer(arm, policy, arena, log, stream, folder))

    config = {
        "name": name,
        "policy": entries if "_target_" in entries else {**study.production, **entries},
        "plugins": outside_digests(entries),
        "days": [days.start, days.stop],
        "redraws": arena.redraws,
        "draws": arena.logging_draws,
        "slots": study.experiment.slots,
    }
    digests = [before.digest, clustered.digest]
    return run_stage(study.cache_dir, f"arena-log-{name}", make, config=config, inputs=digests)


class _Writer(FrozenRunCallbacks):
    """Writes down each day's first requests."""

    def __init__(
        self, arm: Arm, policy: Agent, arena: ArenaConfig, past: InteractionLog, stream: RandomStream, folder: Path
    ) -> None:
        self._arm, self._policy, self._arena, self._past = arm, policy, arena, past
        self._stream, self._folder = stream, folder

    def on_day(self, day: int) -> None:
        """Keep the world and the records, so that others meet the same requests."""
        with folder_written_whole(self._folder / f"day_{day:04}") as state:
            self._arm.world.save(state)
            self._arm.records.save(state / "records.safetensors")

    def on_requests(self, step: int, requests: Requests) -> None:
        """Draw a day's first requests R times."""
        if step:
            return
        arm, name = self._arm, self._arm.name
        records, platform = arm.records, arm.platform
        rates = PastRates.of(self._past, records.cluster_of_item, records.clusters.num_clusters)
        known = platform.consumed_clusters(requests.user)
        others = drawn_slates(
            self._policy, platform, requests, self._stream.at("others", requests.day), self._arena.logging_draws, name
        )
        columns: dict[str, list[npt.NDArray[Any]]] = {}
        for redraw in range(self._arena.redraws):
            rng = self._stream.at("log", requests.day, redraw)
            slate = self._policy.recommend(requests, rng)
            validate(slate, requests, platform, name, self._policy)
            feedback = arm.world.counterfactual_response(np.asarray(requests.user), slate.items, rng.at("luck"))
            filed = platform.cluster_of_item[slate.items]
            of_redraw = {
                "items": slate.items,
                "marginal": logging_marginals(self._policy, requests, slate, others, rng, name),
                "propensity": np.asarray(slate.propensity, np.float64),
                "reward": rewards_of(feedback, known, filed),
                "features": features(platform, rates, requests, slate.items),
            }
            for column, values in of_redraw.items():
                columns.setdefault(column, []).append(values)
        arrays = {column: np.stack(values) for column, values in columns.items()}
        arrays["user"] = np.array(requests.user)
        save_file(arrays, self._folder / f"day_{requests.day:04}.safetensors")


def days_with_requests(logged: Stage, study: Study, arena: ArenaConfig) -> list[int]:
    """The days whose first requests were logged: of small worlds, there are days on which all choose for themselves.

    Raises:
        InvalidInput: there is none.
    """
    days = [day for day in logged_days(study, arena) if (logged.folder / f"day_{day:04}.safetensors").is_file()]
    if not days:
        expected = "must reach a day on which somebody's first request is answered by a recommender"
        raise InvalidInput("arena.log_days", arena.log_days, expected)
    return days


def read_day(logged: Stage, day: int) -> dict[str, FloatArray]:
    """What a logging policy's stage wrote of a day."""
    return dict(load_file(logged.folder / f"day_{day:04}.safetensors"))
