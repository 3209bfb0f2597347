"""The authored interest tree and personas: the world's co-interest truth (hidden).

The tree has themes (level 1), interests (level 2), facets of an interest (level 3) and facet x
keyword (level 4). Personas are life contexts that name interests across themes.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput

MIN_PERSONA_INTERESTS = 4
"""A persona is kept in a sub-tree if at least this many of its interests are in it."""


@dataclass(frozen=True)
class InterestTree:
    """The tree and the personas, cut down to the first ``num_interests`` interests.

    Attributes:
        themes: names of the themes.
        facets: facets of each theme, as many tuples as themes.
        interests: names of the M level-2 interests.
        keywords: keywords of each interest, M tuples.
        theme_of_interest: (M,) int32.
        personas: names of the P personas.
        persona_weight: (P,) float64, shares of the population, sum 1.
        link: (P, M) float64 in [0, 1], how typical each interest is of each persona; 0 = not.
    """

    themes: tuple[str, ...]
    facets: tuple[tuple[str, ...], ...]
    interests: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]
    theme_of_interest: IntArray
    personas: tuple[str, ...]
    persona_weight: FloatArray
    link: FloatArray

    @property
    def num_interests(self) -> int:
        """Number of level-2 interests, M."""
        return len(self.interests)


@cache
def load_tree(num_interests: int) -> InterestTree:
    """Read the authored files and keep the first ``num_interests`` interests, in their order.

    Raises:
        InvalidInput: more interests asked for than were written, or a fault in the files.
    """
    themes = _read("interests.yaml")["themes"]
    authored = [(t, interest) for t, theme in enumerate(themes) for interest in theme["interests"]]
    if num_interests > len(authored):
        raise InvalidInput("world.num_interests", num_interests, f"must be at most {len(authored)}, as many as written")
    kept = authored[:num_interests]
    names = tuple(str(interest["name"]) for _, interest in kept)
    _check_interests([interest for _, interest in authored])
    all_names = {str(interest["name"]) for _, interest in authored}
    number = {name: m for m, name in enumerate(names)}
    personas, weights, links = [], [], []
    for persona in _read("personas.yaml")["personas"]:
        link = np.zeros(num_interests)
        for name, strength in persona["interests"].items():
            if name not in all_names:
                raise InvalidInput(f"personas.yaml: {persona['name']}", name, "is no interest of interests.yaml")
            if name in number:
                link[number[name]] = strength
        if (link > 0).sum() >= MIN_PERSONA_INTERESTS:
            personas.append(str(persona["name"]))
            weights.append(float(persona["weight"]))
            links.append(link)
    if not personas:
        raise InvalidInput("world.num_interests", num_interests, "is too few: no persona has 4 interests among them")
    num_themes = kept[-1][0] + 1
    return InterestTree(
        themes=tuple(str(theme["name"]) for theme in themes[:num_themes]),
        facets=tuple(tuple(theme["facets"]) for theme in themes[:num_themes]),
        interests=names,
        keywords=tuple(tuple(interest["keywords"]) for _, interest in kept),
        theme_of_interest=np.array([t for t, _ in kept], np.int32),
        personas=tuple(personas),
        persona_weight=np.array(weights) / np.sum(weights),
        link=np.stack(links),  # (P, M)
    )


def _read(name: str) -> Any:
    return yaml.safe_load(files("sim").joinpath("data", name).read_text(encoding="utf-8"))


def _check_interests(interests: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for interest in interests:
        if interest["name"] in seen:
            raise InvalidInput("interests.yaml: name", interest["name"], "stands twice")
        seen.add(interest["name"])
        if not interest["keywords"]:
            raise InvalidInput(f"interests.yaml: {interest['name']}", [], "must have keywords")
