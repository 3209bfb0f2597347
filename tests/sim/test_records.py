"""A record takes what its annotations allow, and says in one line what is wrong with anything else."""

import abc
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import MinLen

from sim.errors import InvalidInput
from sim.records import (
    Count,
    Different,
    Expected,
    Name,
    Positive,
    Rate,
    Share,
    Whole,
    check_arguments,
    checked,
    checks_arguments,
    from_mapping,
    limits,
    real_numbers,
    record,
)


@record
@dataclass(frozen=True)
class Inner:
    share: Share
    count: Count = 1


@record
@dataclass(frozen=True)
class Outer:
    inner: Inner
    seeds: Annotated[tuple[Whole, ...], MinLen(1), Different]
    backend: Literal["loky", "ray"]
    user: Whole | None
    step: Positive
    by_name: dict[Name, Inner]
    folder: Annotated[str, Expected("must be a folder")]
    chat: bool
    anything: Any = None


GOOD = {
    "inner": {"share": 1},
    "seeds": [1, 2],
    "backend": "ray",
    "user": None,
    "step": 2,
    "by_name": {"a": {"share": 0.5, "count": 3}},
    "folder": "x",
    "chat": True,
}


def test_a_mapping_becomes_the_record():
    built = from_mapping(Outer, GOOD, "job")
    assert built == Outer(Inner(1.0), (1, 2), "ray", None, 2.0, {"a": Inner(0.5, 3)}, "x", True)
    assert isinstance(built.step, float)
    assert isinstance(built.inner.share, float)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inner": 5}, "job.inner=5: must be a group of entries"),
        ({"inner": {}}, "job.inner.share=None: is missing"),
        ({"inner": {"share": float("nan")}}, "job.inner.share=nan: must be a number from 0 to 1"),
        ({"inner": {"share": "1"}}, "job.inner.share='1': must be a number from 0 to 1"),
        ({"inner": {"share": 2, "shape": 3}}, "job.inner.shape=3: unknown entry; known are share, count"),
        ({"inner": {"share": 1, "count": True}}, "job.inner.count=True: must be a whole number, at least 1"),
        ({"inner": {"share": 1, "count": 1.0}}, "job.inner.count=1.0: must be a whole number, at least 1"),
        ({"seeds": 3}, "job.seeds=3: must be a list of different elements, not empty; each element must be a whole"),
        ({"seeds": []}, "job.seeds=[]: must be a list of different elements, not empty"),
        ({"seeds": [1, 1]}, "job.seeds=[1, 1]: must be a list of different elements"),
        ({"seeds": [1, -1]}, "job.seeds=[1, -1]: must be a list of different elements"),
        ({"backend": "dask"}, "job.backend='dask': must be one of loky, ray"),
        ({"backend": None}, "job.backend=None: must be one of loky, ray"),
        ({"user": -1}, "job.user=-1: must be a whole number, at least 0, or null"),
        ({"step": 0}, "job.step=0: must be a number above 0"),
        ({"step": float("inf")}, "job.step=inf: must be a number above 0"),
        ({"step": False}, "job.step=False: must be a number above 0"),
        ({"by_name": {"../up": {"share": 1}}}, "job.by_name='../up': must be a name such as my_agent"),
        ({"by_name": {"a" * 65: {"share": 1}}}, "job.by_name='aaaa"),
        ({"by_name": {"a": {"share": 7}}}, "job.by_name.a.share=7: must be a number from 0 to 1"),
        ({"by_name": {"a": {}}}, "job.by_name.a.share=None: is missing"),
        ({"folder": 7}, "job.folder=7: must be a folder"),
        ({"chat": "yes"}, "job.chat='yes': must be true or false"),
        ({"colour": "red"}, "job.colour='red': unknown entry; known are inner, seeds, backend, user, step"),
    ],
)
def test_an_error_is_reported_in_one_line(change, says):
    with pytest.raises(InvalidInput) as caught:
        from_mapping(Outer, {**GOOD, **change}, "job")
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mapping", [None, 5, [], "x"])
def test_a_value_that_is_not_a_mapping_is_refused(mapping):
    with pytest.raises(InvalidInput, match=r"^job=.*: must be a group of entries$"):
        from_mapping(Outer, mapping, "job")


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (Annotated[int, limits(3, 9)], 10, "n=10: must be a whole number from 3 to 9"),
        (Annotated[float, limits(0, below=1)], 1.0, "n=1.0: must be a number, at least 0 and below 1"),
        (Rate, 0, "n=0: must be a number above 0 and at most 1"),
        (Count, 10**400, "n=1000"),
        (Name, "a-b", "n='a-b': must be a name such as"),
        (Annotated[tuple[Share, ...], Different], [0.5, 0.5 + 1e-9], "n=[0.5"),
    ],
)
def test_single_values(annotation, value, says):
    if value == 10**400:
        assert checked(annotation, value, "n") == value
        return
    with pytest.raises(InvalidInput) as caught:
        checked(annotation, value, "n")
    assert str(caught.value).startswith(says)


def test_numbers_of_numpy_are_numbers():
    assert checked(Count, np.int64(3), "n") == 3
    assert checked(Share, np.float32(0.5), "n") == 0.5


def test_the_limits_of_real_numbers_can_be_read():
    assert real_numbers(Inner) == {"share": (0, 1)}
    assert real_numbers(Outer) == {"step": (0, float("inf"))}


def test_a_record_reports_entries_that_do_not_fit_together():
    @record
    @dataclass(frozen=True)
    class Pair:
        low: Whole
        high: Whole

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise InvalidInput("pair.low", self.low, f"must be at most pair.high={self.high}")

    with pytest.raises(InvalidInput, match=r"^pair\.low=3: must be at most pair\.high=2$"):
        from_mapping(Pair, {"low": 3, "high": 2}, "pair")


class Part(abc.ABC):
    @abc.abstractmethod
    def work(self) -> None: ...


class Whole1(Part):
    def work(self) -> None: ...


@checks_arguments
class Made:
    def __init__(self, width: Count, rate: Rate = 0.1, kind: Literal["a", "b"] = "a", part: Part | None = None) -> None:
        self.width = width


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"width": 0}, "width=0: must be a whole number, at least 1"),
        ({"width": 1, "rate": float("nan")}, "rate=nan: must be a number above 0 and at most 1"),
        ({"width": 1, "kind": "c"}, "kind='c': must be one of a, b"),
        ({"width": 1, "part": 3}, "part=3: must be the config of a class of Part, or null"),
    ],
)
def test_constructors_check_their_arguments(arguments, says):
    with pytest.raises(InvalidInput) as caught:
        Made(**arguments)
    assert str(caught.value) == says
    with pytest.raises(InvalidInput) as caught:
        check_arguments(Made, arguments, "planner")
    assert str(caught.value) == f"planner.{says}"


def test_valid_arguments_pass_and_a_missing_one_raises_pythons_own_error():
    assert Made(3, part=Whole1()).width == 3
    with pytest.raises(TypeError, match="width"):
        Made()
