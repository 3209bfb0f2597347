"""Whether what a command wrote is what its schema says, to the last key and type."""

from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

from experiments import results_schema
from experiments.arena import schema as of_arenas
from experiments.certify import schema as of_certificates
from experiments.knowledge import schema as of_knowledge
from experiments.offline import schema as of_offline

_STRICT = ConfigDict(strict=True, extra="forbid")
_MODULES = (results_schema, of_certificates, of_arenas, of_offline, of_knowledge)
for _each in (each for module in _MODULES for each in vars(module).values()):
    if is_typeddict(_each):
        _each.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]


def check_schema(kind: Any, content: Any) -> None:
    """Fail where content, as read from JSON, is not of a type of a results' schema.

    Raises:
        pydantic.ValidationError: names the entry.
    """
    TypeAdapter(kind).validate_python(content)
