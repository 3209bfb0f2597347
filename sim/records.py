"""Settings as typed records, with one checker that reports errors in them.

A record is a frozen dataclass whose annotations say what its entries may be:

    @record
    @dataclass(frozen=True)
    class Runtime:
        workers: Count
        backend: Literal["loky", "ray"]

``from_mapping`` builds one from a (Hydra) mapping. pydantic does the checking, strictly: no text passes for a
number, no truth value for a whole one, no entry is unknown and none is missing. What is wrong comes out as one
``InvalidInput``, in the same words whatever the record.
"""

import dataclasses
import functools
import inspect
import json
import math
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Interval, MinLen
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, with_config

from sim.errors import InvalidInput

T = TypeVar("T")

_STRICT = ConfigDict(strict=True, extra="forbid")

record = with_config(_STRICT)
"""Makes a dataclass a record; stands above ``@dataclass(frozen=True)``."""


def limits(
    low: float | None = None, high: float | None = None, *, above: float | None = None, below: float | None = None
) -> Interval:
    """What a number lies in: ``Annotated[float, limits(0, 1)]`` with both ends, ``limits(above=0)`` without the end."""
    return Interval(ge=low, le=high, gt=above, lt=below)


@dataclasses.dataclass(frozen=True)
class Expected:
    """What an entry must be, where its type says too little: ``Annotated[str, Expected("must be a folder")]``."""

    text: str


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    shown = {f"{value:g}" if isinstance(value, float) else str(value) for value in values}
    if len(shown) < len(values):
        raise ValueError("an element stands twice")
    return values


def is_name(name: str) -> bool:
    """Whether a text may become part of a file's or folder's name: a Python name of sensible length."""
    return name.isidentifier() and len(name) <= MOST_OF_A_NAME


def _a_name(name: str) -> str:
    if not is_name(name):
        raise ValueError("no name")
    return name


MOST_OF_A_NAME = 64
"""Characters of a name, at most."""

Whole = Annotated[int, limits(0)]
Count = Annotated[int, limits(1)]
Share = Annotated[float, limits(0, 1)]
Positive = Annotated[float, limits(above=0, below=math.inf)]
Rate = Annotated[float, limits(above=0, high=1)]
Different = AfterValidator(_different)
"""Of a list: no element stands twice."""
Name = Annotated[
    str,
    AfterValidator(_a_name),
    Expected(f"must be a name such as my_agent: letters, digits and _, at most {MOST_OF_A_NAME}"),
]
"""What may become part of a file's or folder's name."""


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    whole = dataclasses.is_dataclass(annotation)  # a record has its own configuration
    return TypeAdapter(annotation) if whole else TypeAdapter(annotation, config=_STRICT)


def checked(annotation: Any, value: Any, name: str) -> Any:
    """A value, checked against a type such as ``Count``, and as that type has it (a tuple for a list).

    Raises:
        InvalidInput: calls the value ``name``.
    """
    try:
        return _adapter(annotation).validate_json(json.dumps(value, default=_plain))
    except ValidationError as error:
        raise _one_line(annotation, value, name, error) from None


def from_mapping(record: type[T], mapping: Any, prefix: str) -> T:
    """Build a record from a (Hydra) mapping.

    Raises:
        InvalidInput: names the entry, e.g. ``world.num_users=0: must be a whole number, at least 1``.
    """
    built: T = checked(record, mapping, prefix)
    return built


def _plain(value: Any) -> Any:
    """Values that JSON lacks: a NumPy scalar becomes its number, anything else its text."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else str(value)


def _one_line(annotation: Any, value: Any, name: str, error: ValidationError) -> InvalidInput:
    """The first of a checker's errors; what is unknown comes before what is wrong."""
    errors = error.errors(include_url=False)
    first = next((each for each in errors if each["type"] == "unexpected_keyword_argument"), errors[0])
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, InvalidInput):  # by the record itself, of entries that do not go together
        return raised
    of_key = first["loc"][-1:] == ("[key]",)
    for part in first["loc"][:-2] if of_key else first["loc"]:
        known = _entries(annotation)
        if part in known and part not in value:
            return InvalidInput(_joined(name, part), None, "is missing")
        if first["type"] == "unexpected_keyword_argument" and part not in known:
            return InvalidInput(_joined(name, part), value[part], f"unknown entry; known are {', '.join(known)}")
        inner = known.get(part, _of_mapping(annotation))
        if inner is None:  # an element of a list, or one of a type's alternatives
            break
        annotation, value, name = inner, value[part], _joined(name, part)
    if of_key:
        return InvalidInput(name, first["loc"][-2], expected(get_args(_bare(annotation))[0]))
    return InvalidInput(name, value, expected(annotation))


def _joined(name: str, part: Any) -> str:
    return f"{name}.{part}" if name else str(part)


def _entries(annotation: Any) -> dict[Any, Any]:
    """What a record's entries must be, by name; empty of anything else."""
    return get_type_hints(annotation, include_extras=True) if dataclasses.is_dataclass(annotation) else {}


def _of_mapping(annotation: Any) -> Any:
    """What a mapping's values must be; None of anything else."""
    inner = _bare(annotation)
    return get_args(inner)[1] if get_origin(inner) is dict else None


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def expected(annotation: Any) -> str:
    """What a type asks for, in words: ``must be a whole number, at least 1``."""
    for each in _metadata(annotation):
        if isinstance(each, Expected):
            return each.text
    return f"must be {_words(annotation)}"


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return tuple(annotation.__metadata__) if get_origin(annotation) is Annotated else ()


def real_numbers(record: Any) -> dict[str, tuple[float, float]]:
    """The least and the greatest value of every entry of a record that is a real number."""
    hints = get_type_hints(record, include_extras=True)
    return {name: _ends(hint) for name, hint in hints.items() if float in (hint, *get_args(hint)[:1])}


def _ends(annotation: Any) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for each in _metadata(annotation):
        if isinstance(each, Interval):
            low = next((end for end in (each.ge, each.gt) if end is not None), low)  # type: ignore[assignment]
            high = next((end for end in (each.le, each.lt) if end is not None), high)  # type: ignore[assignment]
    return low, high


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}


def _words(annotation: Any) -> str:
    extras, annotation = _metadata(annotation), _bare(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if dataclasses.is_dataclass(annotation) or origin is dict:
        return "a group of entries"
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in (Union, UnionType):
        return ", or ".join(_words(each) for each in inner)
    if origin in (tuple, list):
        words = "a list"
        words += " of different elements" if Different in extras else ""
        words += ", not empty" if any(isinstance(each, MinLen) for each in extras) else ""
        return f"{words}; each element must be {_words(inner[0])}"
    return _KINDS[annotation] + "".join(map(_range, extras))


def _range(interval: Any) -> str:
    """``, at least 1``, ``from 0 to 1`` or ``above 0``."""
    if not isinstance(interval, Interval):
        return ""
    if interval.ge is not None and interval.le is not None:
        return f" from {interval.ge} to {interval.le}"
    ends = [("at least", interval.ge), ("above", interval.gt), ("at most", interval.le), ("below", interval.lt)]
    said = [f"{word} {end}" for word, end in ends if end is not None and end != math.inf]
    return ", " + " and ".join(said) if interval.ge is not None else " " + " and ".join(said)


def check_arguments(made: Any, arguments: Mapping[str, Any], prefix: str = "") -> None:
    """Check what a class, or a function, is to be called with against its annotations.

    Checked are numbers, texts, truth values, choices and lists of them, and that what must be of an abstract class
    is; what else an annotation may ask for is left to whoever is called.

    Raises:
        InvalidInput: names the first argument that is of another type or out of range.
    """
    for name, annotation in _hints(made).items():
        if name in arguments and name != "return":
            _check_argument(annotation, arguments[name], _joined(prefix, name))


def _check_argument(annotation: Any, value: Any, name: str) -> None:
    leaves = list(_leaves(annotation))
    if all(leaf in _KINDS for leaf in leaves):
        checked(annotation, value, name)
    elif all(leaf is NoneType or inspect.isabstract(leaf) for leaf in leaves) and not isinstance(value, tuple(leaves)):
        kinds = ["null" if leaf is NoneType else f"the config of a class of {leaf.__name__}" for leaf in leaves]
        raise InvalidInput(name, value, f"must be {', or '.join(kinds)}")


@functools.cache
def _hints(made: Any) -> dict[str, Any]:
    try:
        return get_type_hints(made.__init__ if inspect.isclass(made) else made, include_extras=True)
    except Exception:  # names that only a type checker sees, and whatever else a plugin's annotations hold
        return {}


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types that one is made of; a choice's are plain by themselves."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin in (Union, UnionType, tuple, list):
        for inner in get_args(annotation):
            if inner is not ...:
                yield from _leaves(inner)
    else:
        yield str if origin is Literal else annotation


def checks_arguments(made: type[T]) -> type[T]:
    """Decorates a class whose constructor is to check its arguments (``check_arguments``)."""
    constructor = made.__init__

    @functools.wraps(constructor)
    def checking(self: T, *positional: Any, **named: Any) -> None:
        try:
            given = inspect.signature(constructor).bind(self, *positional, **named).arguments
        except TypeError:
            given = {}  # the constructor itself says what is missing
        check_arguments(made, given)
        constructor(self, *positional, **named)

    made.__init__ = checking  # type: ignore[method-assign, assignment]
    return made
