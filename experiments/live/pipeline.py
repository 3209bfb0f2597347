"""The first stages of a comparison, each cached, and readers for later ones: burn-in, clusters."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from tqdm import tqdm

from agents.making import build_agent
from experiments.live.arms import Arm, live, save_state
from experiments.plugins import outside_digests
from experiments.stages.stages import Stage, run_stage, world_content
from experiments.study.study import Study
from sim.arrays import BoolArray
from sim.files import folder_written_whole
from sim.hidden.clustering import build_clusters
from sim.hidden.population import Population
from sim.hidden.prior import first_records, live_prior
from sim.hidden.world import World
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream

TRAFFIC_PRIOR = 3.0
"""Traffic that every item starts with before clustering, in items of average traffic. Without it the
few items that half of all watches go to would fill clusters by themselves, with nothing new to show."""


def burn_in(study: Study) -> Stage:
    """Users live before day 0, then production, which has learned from that, serves everyone for ``burn_in_days``."""
    days = study.experiment.burn_in_days

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        world = study.build_world()
        records = first_records(world)
        prior = _prior_life(study, world, records, folder / "prior")
        arm = Arm(
            name="burn-in",
            world=world,
            records=records,
            platform=Platform(records),
            production=build_agent(study.production, "production"),
            agent=None,
            users=np.arange(study.world.num_users),
            slots=study.experiment.slots,
            exploration_slots=0,
            stream=RandomStream(study.seed, "burn-in"),
            common_stream=study.common_stream,
        )
        arm.production.fit(arm.platform, prior, study.common_stream.at("production fit"))
        with tqdm(total=days, desc="burn-in", unit="day", dynamic_ncols=True) as bar:
            record = live([arm], 0, days, folder / "days", lambda: bar.update())
        InteractionLog.concatenate([prior, record.log]).write(folder / "log.parquet")
        save_state([arm], folder / "state")

    config = {
        "seed": study.seed,
        "world": world_content(study.world),
        "production": study.production,
        "plugins": outside_digests(study.production),
        "days": days,
        "slots": study.experiment.slots,
    }
    return run_stage(study.cache_dir, "burn-in", make, config=config, inputs=[])


def _prior_life(study: Study, world: World, records: PlatformRecords, folder: Path) -> InteractionLog:
    """The log of the users' life before day 0, which changes world and records; lived once, whatever is killed."""
    days = study.world.prior.days
    if days == 0:
        return InteractionLog.concatenate([])
    if not folder.is_dir():
        with (
            folder_written_whole(folder) as unfinished,
            tqdm(total=days, desc="prior life", unit="day", dynamic_ncols=True) as bar,
        ):
            live_prior(world, records, lambda: bar.update()).write(unfinished / "log.parquet")
            world.save(unfinished)
            records.save(unfinished / "records.safetensors")
    else:
        world.load(folder)
        records.load(folder / "records.safetensors", world.catalog, records.clusters)
    return InteractionLog.read(folder / "log.parquet")


def cluster(study: Study, before: Stage) -> Stage:
    """Cluster the live items by the burn-in's traffic, and refile the log under the new clusters."""

    def make(folder: Path) -> None:
        world = study.build_world()
        world.load(before.folder / "state")
        log = InteractionLog.read(before.folder / "log.parquet")
        catalog = world.catalog
        items = np.flatnonzero(catalog.alive(world.day))
        watches = np.bincount(log.item[log.consumed], minlength=catalog.num_items)[items]
        traffic = TRAFFIC_PRIOR * watches.mean() + watches
        clusters = build_clusters(catalog, items, traffic, study.world.clusters)
        records = world.new_records(clusters)
        records.load(before.folder / "state" / "records.safetensors", catalog, clusters)
        records.adopt(catalog, clusters)
        refiled = log.with_clusters(records.cluster_of_item)
        records.mark_consumed(refiled.user[refiled.consumed], refiled.cluster[refiled.consumed])
        clusters.save(folder / "clusters.safetensors")
        refiled.write(folder / "log.parquet")
        records.save(folder / "records.safetensors")

    config = {"clusters": asdict(study.world.clusters)}
    return run_stage(study.cache_dir, "clusters", make, config=config, inputs=[before.digest])


def population_after(before: Stage) -> Population:
    """Hidden truth: every user at the end of the burn-in, for reports; no recommender receives it."""
    return Population.load(before.folder / "state" / "population.safetensors")


def consumed_before(clustered: Stage) -> BoolArray:
    """(N, M) bool: the level-2 clusters that each user consumed from before the A/B."""
    return np.asarray(load_file(clustered.folder / "records.safetensors")["consumed"])
