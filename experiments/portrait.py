"""``interestlab portrait``: one simulated person's interest tree over time, and the population."""

from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiments.command import clear_errors, run_command
from experiments.figures.files import save_figure
from experiments.portraits.figures import person_figure, population_figure
from experiments.portraits.story import live_and_watch
from sim.config import WorldConfig, from_mapping
from sim.errors import InvalidInput


def _checked(plain: dict[str, Any], config: WorldConfig) -> None:
    if isinstance(plain["days"], bool) or not isinstance(plain["days"], int) or plain["days"] < 2:
        raise InvalidInput("days", plain["days"], "must be a whole number, at least 2")
    user = plain["user"]
    if user is not None and not (isinstance(user, int) and 0 <= user < config.num_users):
        raise InvalidInput("user", user, f"must be null or from 0 to world.num_users - 1 = {config.num_users - 1}")


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="portrait")
def _task(config: DictConfig) -> None:
    with clear_errors("portrait"):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        world = from_mapping(WorldConfig, plain["world"], "world")
        _checked(plain, world)
        folder = Path(HydraConfig.get().runtime.output_dir)
        person, population = live_and_watch(world, plain["seed"], plain["user"], plain["days"])
        save_figure(person_figure(person), folder, "person")
        save_figure(population_figure(population), folder, "population")
    print(f"portrait: {(folder / 'person.svg').resolve()}")


def main() -> None:
    """Entry point of the command."""
    run_command("portrait", _task)


if __name__ == "__main__":
    main()
