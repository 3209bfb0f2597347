"""What is wrong with a command's arguments, in one line: Hydra's own errors take several.

Nothing is read out of the texts of Hydra's messages. The types of its errors and their attributes say what they
can; where they don't say which override is at fault, it is the first with which the config cannot be composed.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_module
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationResolutionError, OmegaConfBaseException

from experiments.plugins import choices
from sim.errors import InvalidInput

_FLAGS_WITH_A_VALUE = (
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
    *("--cfg", "-c", "--info", "-i", "--package", "-p", "--experimental-rerun"),
)

_NOT_REPEATED = ("url", "key_variable")
"""Entries in which a key may stand by mistake."""

_QUOTES = """cannot be read; what holds more than letters, digits and -_./:%+ goes in quotes: 'ENTRY="a value"'"""


def split_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell words from all other arguments, Hydra's overrides and flags, in any order."""
    words: list[str] = []
    others: list[str] = []
    for number, argument in enumerate(arguments):
        of_flag = number > 0 and arguments[number - 1] in _FLAGS_WITH_A_VALUE
        is_word = not (of_flag or "=" in argument or argument.startswith(("-", "~")))
        (words if is_word else others).append(argument)
    return words, others


def check_arguments(arguments: Sequence[str]) -> None:
    """Check Hydra's flags, whether overrides can be read, and whether folders exist, or raise ``InvalidInput``."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InvalidInput("arguments", " ".join(arguments), f"{message}; --hydra-help lists the flags")

    parser.error = refuse  # type: ignore[method-assign]
    known = parser.parse_args(list(arguments))
    if known.config_dir is not None and not Path(known.config_dir).is_dir():
        raise InvalidInput("--config-dir", known.config_dir, "must be a folder that exists")
    for text in known.overrides:
        override = _parsed(text)
        if override.key_or_group == "hydra.searchpath":
            _check_search_path(override.value())
        if override.value() == {} and not override.is_add():
            expected = "changes nothing: entries are merged; ~ENTRY leaves one out"
            raise InvalidInput(str(override.key_or_group), {}, expected)


def _check_search_path(places: Any) -> None:
    for place in places if isinstance(places, list) else [places]:
        folder = str(place).removeprefix("file://")
        if "://" not in folder and not Path(folder).is_dir():
            raise InvalidInput("hydra.searchpath", str(place), "must be folders that exist, as file:///my/conf")


def _parsed(text: str) -> Override:
    try:
        return OverridesParser.create().parse_overrides([text])[0]
    except OverrideParseException:
        key, is_given, _ = text.partition("=")
        raise InvalidInput(key if is_given else "argument", _value(text), _QUOTES) from None


def _value(text: str) -> str:
    """What an override says, unless it may be secret."""
    key, is_given, value = text.partition("=")
    return "…" if key.rpartition(".")[2] in _NOT_REPEATED else value if is_given else key


def explained(error: Exception, conf: str, arguments: Sequence[str]) -> InvalidInput | None:
    """What to tell a user whose arguments were wrong; None if these are not to blame.

    Args:
        error: what Hydra raised before the command began.
        conf: name of the command's config.
        arguments: all that was typed, flags too.
    """
    known = get_args_parser().parse_args(list(arguments))
    overrides = [_parsed(text) for text in known.overrides]
    if isinstance(error, MissingConfigException):
        return _unknown_choice(error, known.config_name or conf)
    if isinstance(error, OSError):
        entry = "hydra.sweep.dir" if known.multirun else "hydra.run.dir"
        return InvalidInput(entry, error.filename, f"must be a folder that can be written to ({error.strerror})")
    several = next((each for each in overrides if each.is_sweep_override()), None)
    if several is not None and not known.multirun:
        return _wrong(several, "is several values: add -m for a sweep; a list goes in brackets, and text in quotes")
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    override = _named(cause, overrides) or _first_at_fault(conf, overrides, known.config_dir)
    if override is not None:
        return _wrong(override, _right(override, cause))
    if isinstance(error, HydraException) or (isinstance(error, ValueError) and not known.multirun):
        return InvalidInput("arguments", " ".join(arguments), str(error).splitlines()[0])
    return None


def _unknown_choice(error: MissingConfigException, conf: str) -> InvalidInput:
    group, _, choice = (error.missing_cfg_file or conf).rpartition("/")
    if not group:
        return InvalidInput("--config-name", choice, "must be the name of a config that exists")
    options = [each for each in error.options or choices_of(group) if each != "base"]
    return InvalidInput(group, choice, f"unknown {group}; known are {', '.join(options)}")


def _wrong(override: Override, expected: str) -> InvalidInput:
    text = override.input_line or ""
    value = _value(text)
    as_text = value == "…" or override.is_sweep_override() or override.is_delete()
    return InvalidInput(text.partition("=")[0], value if as_text else override.value(), expected)


def choices_of(group: str) -> list[str]:
    """The choices of a config group; none of what is no group."""
    return choices(group) if group and files("conf").joinpath(group).is_dir() else []


def _named(cause: Any, overrides: Sequence[Override]) -> Override | None:
    """The override that an error of OmegaConf names."""
    key = getattr(cause, "full_key", None)
    return next((each for each in overrides if key and each.key_or_group == key), None)


def _first_at_fault(conf: str, overrides: Sequence[Override], config_dir: str | None) -> Override | None:
    """The first override with which the config cannot be composed; of several values, any one."""
    kept = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"]
    for override in overrides:
        values = []
        if override.is_sweep_override():
            if not (override.is_choice_sweep() or override.is_range_sweep()):
                continue
            values = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        for text in values or [override.input_line or ""]:
            try:
                with initialize_config_module("conf", version_base="1.3"):
                    compose(conf, [*kept, text])
            except Exception:
                return override
        kept.append(values[0] if values else override.input_line or "")
    return None


def _right(override: Override, cause: Any) -> str:
    """What would be right instead of an override with which nothing can be composed."""
    key = str(override.key_or_group)
    if override.is_add():
        return "is there already: without + its value is set"
    if override.is_delete():
        return "is not there, so that it cannot be left out"
    if choices_of(key) and override.value() in choices_of(key):
        return "is for a place that the config does not have; with + before it, it gets one"
    if choices_of(key):
        return f"must be one of {', '.join(choices_of(key))}"
    if isinstance(cause, InterpolationResolutionError):
        return "must resolve: it refers to what is not there"
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        parent = cause.parent_node
        known = [str(k) for k in parent if not str(k).startswith("_")] if isinstance(parent, DictConfig) else []
        return f"unknown entry; known are {', '.join(known)}" if known else "unknown entry"
    return "must be of the kind that the entry has: a group of entries stays one"
