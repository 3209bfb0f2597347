"""Every command's smallest run leaves what it left when its bytes were kept."""

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from experiments.main import COMMANDS
from tests.golden.cases import CASES
from tests.golden.run import KEPT, in_its_environment

MOST_SHOWN = 20


def test_every_command_is_kept():
    assert {case.words[0] for case in CASES} == set(COMMANDS)
    assert {path.stem for path in KEPT.glob("*.json")} == {case.name for case in CASES}


@pytest.fixture(scope="module")
def actual(tmp_path_factory) -> Path:
    """The folder of what all cases left, made once for all workers (some minutes: why these tests are slow ones)."""
    run = tmp_path_factory.getbasetemp().resolve()
    out = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "golden"
    out.mkdir(exist_ok=True)
    with FileLock(out / ".lock"):
        if not (out / "whole").exists():
            done = in_its_environment(out, [])
            assert done.returncode == 0, done.stdout
            (out / "whole").touch()
    return out / "found"


@pytest.mark.slow
@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_a_run_leaves_what_it_left(case, actual):
    kept, now = (json.loads((folder / f"{case}.json").read_text(encoding="utf-8")) for folder in (KEPT, actual))
    different = list(differences(kept, now))
    shown = "\n".join(different[:MOST_SHOWN])
    assert not different, f"{len(different)} entries differ (kept -> now):\n{shown}"


def differences(kept, now, place=""):
    """Where two contents differ, and how."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key in sorted({*kept, *now}):
            yield from differences(kept.get(key, "nothing"), now.get(key, "nothing"), f"{place}/{key}")
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for number, pair in enumerate(zip(kept, now, strict=True)):
            yield from differences(*pair, f"{place}/{number}")
    elif kept != now:
        yield f"{place}: {str(kept)[:100]} -> {str(now)[:100]}"


def test_differences_are_found():
    assert list(differences({"a": [1, 2], "b": 3}, {"a": [1, 4], "c": 3})) == [
        "/a/1: 2 -> 4", "/b: 3 -> nothing", "/c: nothing -> 3",
    ]  # fmt: skip
    assert list(differences([1, {"a": None}], [1, {"a": None}])) == []
