"""``interestlab portrait``: one simulated person's interest tree over time, and the population."""

from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from experiments.portrait.figures import person_figure, population_figure
from experiments.portrait.story import simulate_portrait
from experiments.reporting.figures.files import save_figures
from experiments.study.study import resolved
from sim.hidden.config import WorldConfig, from_mapping
from sim.records import Expected, Whole, checked, limits


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    plain = resolved(config)
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    seed = checked(Whole, plain.get("seed"), "seed")
    days = checked(Annotated[int, limits(2)], plain.get("days"), "days")
    expected = Expected(f"must be from 0 to days - 1 = {days - 1}")
    burn_in_days = checked(Annotated[int, limits(0, days - 1), expected], plain.get("burn_in_days"), "burn_in_days")
    last = world.num_users - 1
    expected = Expected(f"must be null or from 0 to world.num_users - 1 = {last}")
    user = checked(Annotated[Annotated[int, limits(0, last)] | None, expected], plain.get("user"), "user")
    person, population = simulate_portrait(world, seed, user, days, burn_in_days)
    save_figures({"person": person_figure(person), "population": population_figure(population)}, folder)
    print(f"portrait: {(folder / 'person.svg').resolve()}")
