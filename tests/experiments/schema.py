"""Whether what a command wrote is what its schema says, to the last key and type."""

from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

from experiments import results_schema

_STRICT = ConfigDict(strict=True, extra="forbid")
for _each in vars(results_schema).values():
    if is_typeddict(_each):
        _each.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]


def check_schema(kind: Any, content: Any) -> None:
    """Fail where content, as read from JSON, is not of a type of ``experiments.results_schema``.

    Raises:
        pydantic.ValidationError: names the entry.
    """
    TypeAdapter(kind).validate_python(content)
