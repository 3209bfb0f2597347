"""The authored interest tree and personas: the world's co-interest truth (hidden).

The tree has themes (level 1), interests (level 2), facets of an interest (level 3) and facet x
keyword (level 4). Personas are life contexts that name interests across themes.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.authored import AuthoredInterest, AuthoredPersona, read_interests, read_personas

MIN_PERSONA_INTERESTS = 4
"""A persona is kept in a sub-tree if at least this many of its interests are in it."""

_FIRST_OF_THEME = 8  # interests that a theme enters a sub-tree with


@dataclass(frozen=True)
class PersonaLinks:
    """Which interests each of P personas names, at most L.

    Attributes:
        interest: (P, L) int32, -1 pads.
        strength: (P, L) float64 in (0, 1], how typical the interest is of the persona; 0 pads.
    """

    interest: IntArray
    strength: FloatArray

    @property
    def num_places(self) -> int:
        """Interests that the persona with the most names, L."""
        return int(self.interest.shape[1])

    def dense(self, num_interests: int) -> FloatArray:
        """(P, M) float64: strengths, 0 where there is no link."""
        link = np.zeros((len(self.interest), num_interests))
        persona, place = np.nonzero(self.interest >= 0)
        link[persona, self.interest[persona, place]] = self.strength[persona, place]
        return link


@dataclass(frozen=True)
class InterestTree:
    """The tree and the personas, cut down to ``num_interests`` interests.

    Attributes:
        themes: names of the themes.
        facets: facets of each theme, as many tuples as themes.
        interests: names of the M level-2 interests, theme by theme.
        keywords: keywords of each interest, M tuples.
        theme_of_interest: (M,) int32.
        personas: names of the P personas.
        persona_weight: (P,) float64, shares of the population, sum 1.
        links: the interests that each persona names on day 0.
    """

    themes: tuple[str, ...]
    facets: tuple[tuple[str, ...], ...]
    interests: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]
    theme_of_interest: IntArray
    personas: tuple[str, ...]
    persona_weight: FloatArray
    links: PersonaLinks

    @property
    def num_interests(self) -> int:
        """Number of level-2 interests, M."""
        return len(self.interests)


@cache
def load_tree(num_interests: int, folder: str = "", linked_pairs: float = 1.0) -> InterestTree:
    """Read the authored files and keep a coherent part of them.

    A sub-tree takes the first eight interests of the first theme, then of the second, and so on;
    once every theme has eight, the next eight of each. So 24 interests are three themes in some
    depth, 256 are all themes in the same depth, and 761 are all.

    A persona is kept if at least ``MIN_PERSONA_INTERESTS`` of its interests are. In a small tree these link most pairs
    of interests, and that two interests go together is then no news. ``linked_pairs`` bounds the share of pairs that
    share a persona: where it is exceeded, only some personas are kept (``_few_links``).

    Args:
        num_interests: how many to keep, M.
        folder: where ``interests.yaml`` and ``personas.yaml`` are; empty for those of this package.
        linked_pairs: share of the M (M - 1) / 2 pairs of interests, at most.

    Raises:
        InvalidInput: more interests asked for than were written, no persona left, or a fault in the files.
    """
    themes = read_interests(folder)
    authored = [(t, rank, interest) for t, theme in enumerate(themes) for rank, interest in enumerate(theme.interests)]
    if num_interests > len(authored):
        raise InvalidInput("world.num_interests", num_interests, f"must be at most {len(authored)}, as many as written")
    personas = read_personas(folder, [interest.name for _, _, interest in authored])
    entering = sorted(authored, key=lambda place: (place[1] // _FIRST_OF_THEME, place[0], place[1]))
    kept = sorted(entering[:num_interests], key=lambda place: place[:2])
    interests = [interest for _, _, interest in kept]
    members, links = _links(personas, interests)
    if not members:
        raise InvalidInput("world.num_interests", num_interests, "is too few: no persona has 4 interests among them")
    few = _few_links(links, num_interests, linked_pairs)
    if not few:
        expected = f"is too small: any persona links more of the pairs of {num_interests} interests"
        raise InvalidInput("world.linked_pairs", linked_pairs, expected)
    members, links = [members[p] for p in few], PersonaLinks(links.interest[few], links.strength[few])
    weight = np.array([persona.weight for persona in members])
    num_themes = max(t for t, _, _ in kept) + 1
    return InterestTree(
        themes=tuple(theme.name for theme in themes[:num_themes]),
        facets=tuple(theme.facets for theme in themes[:num_themes]),
        interests=tuple(interest.name for interest in interests),
        keywords=tuple(interest.keywords for interest in interests),
        theme_of_interest=np.array([t for t, _, _ in kept], np.int32),
        personas=tuple(persona.name for persona in members),
        persona_weight=weight / weight.sum(),
        links=links,
    )


def _links(
    personas: list[AuthoredPersona], interests: list[AuthoredInterest]
) -> tuple[list[AuthoredPersona], PersonaLinks]:
    """The personas with enough of these interests, and what they name of them."""
    number = {interest.name: m for m, interest in enumerate(interests)}
    named = [{number[name]: s for name, s in persona.interests.items() if name in number} for persona in personas]
    enough = [p for p, names in enumerate(named) if len(names) >= MIN_PERSONA_INTERESTS]
    num_places = max((len(named[p]) for p in enough), default=0)
    interest = np.full((len(enough), num_places), -1, np.int32)
    strength = np.zeros((len(enough), num_places))
    for row, p in enumerate(enough):
        interest[row, : len(named[p])] = list(named[p])
        strength[row, : len(named[p])] = list(named[p].values())
    return [personas[p] for p in enough], PersonaLinks(interest, strength)


def _few_links(links: PersonaLinks, num_interests: int, linked_pairs: float) -> list[int]:
    """The personas to keep, so that at most a share ``linked_pairs`` of the pairs of interests share one.

    All, where that holds for all. Otherwise one after the other is taken: that with the most interests which are in
    fewer than two of those taken, for each pair of interests that it links anew; until every interest is in two, or
    none fits any more. Ties go to the first in the file.

    Returns:
        Ascending rows of ``links``.
    """
    named = [np.sort(row[row >= 0]) for row in links.interest]
    most = linked_pairs * num_interests * (num_interests - 1) / 2
    linked = np.zeros((num_interests, num_interests), bool)
    for names in named:
        linked[np.ix_(names, names)] = True
    if np.triu(linked, 1).sum() <= most:
        return list(range(len(named)))
    linked[:] = False
    times, taken, pairs = np.zeros(num_interests, np.int64), [], 0
    left = dict(enumerate(named))
    while left:
        anew = {p: int(np.triu(~linked[np.ix_(names, names)], 1).sum()) for p, names in left.items()}
        gain = {p: int(np.maximum(2 - times[names], 0).sum()) for p, names in left.items() if pairs + anew[p] <= most}
        if not any(gain.values()):
            break
        best = max(gain, key=lambda p: (gain[p] / (anew[p] + 1), -p))
        names = left.pop(best)
        taken.append(best)
        times[names] += 1
        linked[np.ix_(names, names)] = True
        pairs += anew[best]
    return sorted(taken)
