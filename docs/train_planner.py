"""Train PPO and DQN of stable-baselines3 to plan interest clusters, and compare them with random planning.

They learn on two thirds of a world's users, and are compared on the others, whom they never met. All
planners meet the same people with common random numbers, so what is reported is a paired difference: for each
user the mean over their lives, then the mean over users with its 95 % interval. Like every result
here it holds for users of one world (--world-seed).

Needs `pip install 'interestlab[rl]'`. With its defaults it takes some minutes on one core.
"""

import argparse
import sys
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from scipy import stats
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

import envs  # noqa: F401 - registers interestlab/ClusterPlanning-v0
from envs.config import world_config
from envs.life import LifeSettings
from envs.planning import PlanLife
from sim.hidden.config import WorldConfig

ID = "interestlab/ClusterPlanning-v0"
Planner = Callable[[dict[str, np.ndarray]], np.ndarray]
"""Observations of B users, as ``planning_space`` has one, to B clusters."""


class Progress(BaseCallback):
    """Says ten times on the way how many steps were made and what the last episodes earned."""

    def __init__(self, name: str, steps: int) -> None:
        super().__init__()
        self._name, self._steps, self._told = name, steps, 0

    def _on_step(self) -> bool:
        if self.num_timesteps * 10 // self._steps > self._told:
            self._told = self.num_timesteps * 10 // self._steps
            recent = np.mean([episode["r"] for episode in self.model.ep_info_buffer])
            message = f"{self._name}: {self.num_timesteps} of {self._steps} steps, last 100 episodes {recent:.1f} min"
            print(message, file=sys.stderr)
        return True


def learn(name: str, env: gym.Env, steps: int, seed: int) -> BaseAlgorithm:
    """Train one algorithm on the environment as it is."""
    # A plan tells on the next few slates (what was found is watched again), so gamma = 0.8 looks far enough.
    shared = {"policy": "MultiInputPolicy", "env": env, "gamma": 0.8, "seed": seed, "device": "cpu"}
    model: BaseAlgorithm
    if name == "PPO":
        model = PPO(**shared, n_steps=512, learning_rate=1e-3)
    else:
        model = DQN(
            **shared,
            learning_rate=3e-4,
            batch_size=256,
            train_freq=2,
            learning_starts=2000,
            buffer_size=100_000,
            target_update_interval=500,
            exploration_fraction=0.3,
        )
    return model.learn(steps, callback=Progress(name, steps))


def returns(planner: Planner, world: WorldConfig | str, world_seed: int, users: np.ndarray, lives: int) -> np.ndarray:
    """(users, lives) minutes watched in whole episodes; life k has the same random draws for any planner."""
    minutes = np.zeros((len(users), lives))
    settings = LifeSettings(world_config(world), world_seed, days=7, num_slots=5)  # the environment's own
    for number in range(lives):
        life = PlanLife(settings, users, number)  # what ClusterPlanning-v0 is for one user, for all at once
        while not life.over:
            minutes[:, number] += life.step(planner(life.observation)).minutes
    return minutes


def interval(difference: np.ndarray) -> tuple[float, float, float]:
    """Mean over users of (users, lives) differences, with the ends of its 95 % interval (Student's t)."""
    of_user = difference.mean(axis=1)
    half = stats.t.ppf(0.975, len(of_user) - 1) * of_user.std(ddof=1) / np.sqrt(len(of_user))
    return of_user.mean(), of_user.mean() - half, of_user.mean() + half


def planners(models: dict[str, BaseAlgorithm], num_clusters: int, seed: int) -> dict[str, Planner]:
    """What is compared: random planning, a rule by hand as a yardstick, and what was learned."""
    generator = np.random.default_rng(seed)

    def learned(model: BaseAlgorithm) -> Planner:
        # What PPO learns is a distribution over plans, what DQN learns is a value of each.
        best_only = isinstance(model, DQN)
        return lambda observation: model.predict(observation, deterministic=best_only)[0]

    return {
        "random": lambda observation: generator.integers(num_clusters, size=len(observation["day"])),
        "most liked": lambda observation: observation["positive_share"].argmax(axis=1),
        **{name: learned(model) for name, model in models.items()},
    }


def train_and_compare(
    world: WorldConfig | str, world_seed: int, steps: int, lives: int, seed: int
) -> dict[str, np.ndarray]:
    """Train on two thirds of a world's users; (U, lives) minutes of the U others under each planner, by its name."""
    users = np.arange(world_config(world).num_users)
    held_out = users[users % 3 == 0]
    env = gym.make(ID, world=world, world_seed=world_seed, user=users[users % 3 != 0].tolist())
    models = {name: learn(name, env, steps, seed) for name in ("PPO", "DQN")}
    return {
        name: returns(planner, world, world_seed, held_out, lives)
        for name, planner in planners(models, int(env.action_space.n), seed).items()
    }


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="tiny", help="preset of the world: tiny (default), small, ...")
    parser.add_argument("--world-seed", type=int, default=0, help="who lives in it and what is uploaded (default 0)")
    parser.add_argument("--steps", type=int, default=40_000, help="requests to learn from, each (default 40000)")
    parser.add_argument("--lives", type=int, default=4, help="episodes a held-out user and planner (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="of learning (default 0)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    earned = train_and_compare(**vars(arguments))
    print(f"minutes watched an episode, {len(earned['random'])} users never met before, {arguments.lives} lives each")
    print(f"{'planner':12s}{'mean':>8s}   difference to random, paired, 95 %")
    for name, minutes in earned.items():
        value, low, high = interval(minutes - earned["random"])
        against = "" if name == "random" else f"   {value:+.2f} [{low:+.2f}, {high:+.2f}]"
        print(f"{name:12s}{minutes.mean():8.2f}{against}")


if __name__ == "__main__":
    main()
