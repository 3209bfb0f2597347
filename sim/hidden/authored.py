"""Reads and checks the authored files, ``interests.yaml`` and ``personas.yaml`` (hidden).

```yaml
themes:                                  # interests.yaml
  - name: Food and drink
    facets: [beginner recipes, taste tests]
    interests:
      - name: home espresso and latte art
        keywords: [espresso, latte art]
personas:                                # personas.yaml
  - name: new parent
    weight: 1.8                          # share of the population, relative to the others
    interests:
      home espresso and latte art: 0.6   # how typical it is of them, in (0, 1]
```
"""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import yaml

from sim.errors import InvalidInput
from sim.records import checked, limits

INTERESTS, PERSONAS = "interests.yaml", "personas.yaml"


@dataclass(frozen=True)
class AuthoredInterest:
    """A level-2 interest: its name and keywords."""

    name: str
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class AuthoredTheme:
    """A theme: its name, facets and interests."""

    name: str
    facets: tuple[str, ...]
    interests: tuple[AuthoredInterest, ...]


@dataclass(frozen=True)
class AuthoredPersona:
    """A persona: its name, weight in the population, and how typical each interest is of it."""

    name: str
    weight: float
    interests: dict[str, float]


def authored_digest(folder: str) -> str:
    """SHA-256 of the two files: worlds made of other files are other worlds.

    Raises:
        InvalidInput: a file is missing.
    """
    content = hashlib.sha256()
    for name in (INTERESTS, PERSONAS):
        content.update(_text(folder, name).encode())
    return content.hexdigest()


def read_interests(folder: str) -> list[AuthoredTheme]:
    """The themes of ``interests.yaml``, checked.

    Raises:
        InvalidInput: names the file, the entry and the value.
    """
    themes = []
    for t, theme in enumerate(_entries(_load(folder, INTERESTS), "themes", INTERESTS)):
        place = f"{INTERESTS}: themes[{t}]"
        facets = _words(theme, "facets", place)
        interests = tuple(
            AuthoredInterest(
                _name(entry, f"{place}.interests[{i}]"), _words(entry, "keywords", f"{place}.interests[{i}]")
            )
            for i, entry in enumerate(_entries(theme, "interests", place))
        )
        themes.append(AuthoredTheme(_name(theme, place), facets, interests))
    _refuse_twice([theme.name for theme in themes], f"{INTERESTS}: themes.name")
    interests_of_all = [interest for theme in themes for interest in theme.interests]
    _refuse_twice([interest.name for interest in interests_of_all], f"{INTERESTS}: interests.name")
    _refuse_twice([", ".join(sorted(i.keywords)) for i in interests_of_all], f"{INTERESTS}: interests.keywords")
    return themes


def read_personas(folder: str, interests: list[str]) -> list[AuthoredPersona]:
    """The personas of ``personas.yaml``, checked against the names of the interests.

    Raises:
        InvalidInput: names the file, the entry and the value.
    """
    known, personas = set(interests), []
    for p, entry in enumerate(_entries(_load(folder, PERSONAS), "personas", PERSONAS)):
        place = f"{PERSONAS}: personas[{p}]"
        name = _name(entry, place)
        links = entry.get("interests")
        if not isinstance(links, dict) or not links:
            raise InvalidInput(f"{place}.interests", links, "must be a mapping of interests to numbers")
        for interest, strength in links.items():
            if interest not in known:
                raise InvalidInput(f"{place}.interests", interest, f"is no interest of {INTERESTS}")
            _number(strength, f"{place}.interests[{interest!r}]", 1.0)
        weight = _number(entry.get("weight"), f"{place}.weight", 1000.0)
        personas.append(AuthoredPersona(name, weight, {str(m): float(s) for m, s in links.items()}))
    _refuse_twice([persona.name for persona in personas], f"{PERSONAS}: personas.name")
    return personas


class _Loader(yaml.CSafeLoader):
    """Refuses what YAML allows and a taxonomy must not have: a key that stands twice."""

    name: str  # of the file

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise InvalidInput(f"{self.name}: line {key_node.start_mark.line + 1}", key, "stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _text(folder: str, name: str) -> str:
    source: Traversable = Path(folder) / name if folder else files("sim").joinpath("data", name)
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("world.taxonomy", folder, f"must be a folder with a readable {name} ({error})") from None


def _load(folder: str, name: str) -> dict[str, Any]:
    loader = _Loader(_text(folder, name))
    loader.name = name
    try:
        content = loader.get_single_data()
    except yaml.YAMLError as error:
        raise InvalidInput(name, " ".join(str(error).split()), "must be valid YAML") from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise InvalidInput(name, type(content).__name__, "must be a mapping")
    _refuse_cycle(content, name, ())
    return content


def _refuse_cycle(node: Any, place: str, above: tuple[int, ...]) -> None:
    """A tree in which something stands below itself (by a YAML alias) has no end."""
    if not isinstance(node, (dict, list)):
        return
    if id(node) in above:
        raise InvalidInput(place, "a cycle", "nothing may stand below itself")
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        _refuse_cycle(child, f"{place}: {key}" if not above else f"{place}.{key}", (*above, id(node)))


def _entries(parent: Any, field: str, place: str) -> list[dict[str, Any]]:
    entries = parent.get(field) if isinstance(parent, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise InvalidInput(f"{place}.{field}" if field not in place else place, entries, "must be a list of mappings")
    return entries


def _name(entry: dict[str, Any], place: str) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"{place}.name", name, "must be a name")
    return name


def _words(entry: dict[str, Any], field: str, place: str) -> tuple[str, ...]:
    words = entry.get(field)
    label = f"{place}.{field} of {entry.get('name')!r}"
    if not isinstance(words, list) or not words or not all(isinstance(w, str) and w.strip() for w in words):
        raise InvalidInput(label, words, "must be a list of words, not empty")
    _refuse_twice(words, label)
    return tuple(words)


def _number(value: Any, place: str, most: float) -> float:
    number: float = checked(Annotated[float, limits(above=0, high=most)], value, place)
    return number


def _refuse_twice(values: list[str], place: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidInput(place, value, "stands twice")
        seen.add(value)
