"""The log of a simulated world as a data set: what its platform would hand out."""

from experiments.datasets.dataset import LoggedDataset
from experiments.pipeline import burn_in, cluster
from experiments.study import Study
from sim.clusters import InterestClusters
from sim.log import InteractionLog


def burn_in_dataset(study: Study) -> LoggedDataset:
    """The burn-in's log under production, filed under the clusters made after it; both stages from the cache.

    The catalog is as on the eve of the A/B. Nothing of the users' latent state is in it.
    """
    before = burn_in(study)
    clustered = cluster(study, before)
    world = study.build_world()
    world.load(before.folder / "state")
    return LoggedDataset(
        name=f"world of {study.world.num_interests} interests, seed {study.seed}",
        source="interestlab",
        num_users=study.world.num_users,
        log=InteractionLog.read(clustered.folder / "log.parquet"),
        catalog=world.catalog,
        clusters=InterestClusters.load(clustered.folder / "clusters.safetensors"),
    )
