"""Every command's smallest run leaves what it left when its bytes were kept."""

import json
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from threading import Event

import pytest

from experiments.main import COMMANDS
from tests.command_line import SERVER
from tests.golden import run
from tests.golden.cases import CASES, GROUPS
from tests.golden.run import KEPT, folder_of

MOST_SHOWN = 20


def test_every_command_is_kept():
    assert {case.words[0] for case in CASES} == set(COMMANDS)
    assert {path.stem for path in KEPT.glob("*.json")} == {case.name for case in CASES}
    assert sorted(name for group in GROUPS for name in group) == sorted(case.name for case in CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_a_run_leaves_what_it_left(case, golden):
    paths = (KEPT / f"{case}.json", golden(case).parent / "found" / f"{case}.json")
    kept, now = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
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


def test_commands_are_not_forked_from_a_process_that_has_this_machines_instructions(tmp_path, monkeypatch):
    """pytest-xdist's workers fork theirs from one: its libraries chose their instructions when it began."""
    started = []
    monkeypatch.setenv(SERVER, "an address")
    monkeypatch.setattr(run.subprocess, "run", lambda command, env, **_: started.append(env))
    run.in_its_environment(tmp_path, ["cite"])
    assert SERVER not in started[0]
    assert run.SAME_EVERYWHERE.items() <= started[0].items()


def test_a_group_is_run_once_and_who_would_wait_for_it_runs_another(tmp_path, monkeypatch):
    groups, another = [], Event()

    def run_group(out, names, stderr):
        groups.append(names[0])
        if names[0] == "compare":
            assert another.wait(60), "the other worker only waits"
        else:
            another.set()
        for name in names:
            (out / "found").mkdir(exist_ok=True)
            (out / "found" / f"{name}.json").touch()
        return CompletedProcess([], 0, "")

    monkeypatch.setattr(run, "in_its_environment", run_group)
    with ThreadPoolExecutor(2) as workers:
        folders = list(workers.map(folder_of, ("compare", "compare_split"), (tmp_path, tmp_path)))
    assert folders == [tmp_path / "compare", tmp_path / "compare_split"]
    assert len(set(groups)) == len(groups) >= 2


def test_a_group_that_fails_says_why_and_is_not_run_again(tmp_path, monkeypatch):
    groups = []

    def run_group(out, names, stderr):
        groups.append(names)
        return CompletedProcess([], 1, "no such agent")

    monkeypatch.setattr(run, "in_its_environment", run_group)
    for name in ("interference", "report"):
        with pytest.raises(AssertionError, match="no such agent"):
            folder_of(name, tmp_path)
    assert len(groups) == 1
