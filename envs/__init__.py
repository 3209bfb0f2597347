"""Gymnasium environments over ``sim.hidden.world``. Importing this package registers ``interestlab/Exploration-v0``."""

from gymnasium.envs.registration import register

register(
    id="interestlab/Exploration-v0",
    entry_point="envs.exploration:ExplorationEnv",
    vector_entry_point="envs.vector:ExplorationVectorEnv",
)
register(id="interestlab/ClusterPlanning-v0", entry_point="envs.planning:ClusterPlanningEnv")
