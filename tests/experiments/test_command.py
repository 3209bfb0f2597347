"""Every command's entry: what it imports before it runs, and one line for arguments that are wrong."""

import logging
import os
import subprocess
import sys

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig

from experiments.command import COMMANDS, Task
from experiments.main import main
from experiments.study.overrides import split_words

HEAVY = ("torch", "transformers", "scipy", "matplotlib", "numba", "sklearn", "pyarrow", "gymnasium", "numpy")

RUNS_NOTHING = (
    ["--help"],
    ["compare", "--help"],
    ["compare", "--cfg", "job"],
    ["compare", "nonsense=1"],
    ["compare", "world=huge"],
    ["compare", "world.response=[1]"],
    ["compare", "foo"],
    ["compares"],
    ["report", "--help"],
    ["new-agent", "--help"],
    ["benchmark", "agents", "--cfg", "job"],
)

TOLD = f"""
import sys
from experiments.main import main
before = set()
for words in {RUNS_NOTHING!r}:
    sys.argv = ["interestlab", *words]
    try:
        main()
    except SystemExit:
        pass
    print("imported:", *sorted((set(sys.modules) - before) & {set(HEAVY)!r}), file=sys.stderr)
    before = set(sys.modules)
"""


@pytest.fixture(scope="module")
def imported():
    """A line for each of ``RUNS_NOTHING``: what it imported that those before it had not; all in one interpreter."""
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("imported:")]


@pytest.mark.parametrize("number", range(len(RUNS_NOTHING)), ids=[" ".join(words) for words in RUNS_NOTHING])
def test_what_does_not_run_imports_nothing_that_only_a_run_needs(number, imported):
    assert len(imported) == len(RUNS_NOTHING)
    assert imported[number] == "imported:"


@pytest.mark.parametrize("words", [["compare"], ["benchmark", "agents"], ["check-agent"]])
def test_a_command_shows_its_config(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["interestlab", *words, "--cfg", "job"])
    main()
    actual = capsys.readouterr().out
    assert "seed: 0\n" in actual
    assert ("runtime:" in actual) == (words != ["check-agent"])


@pytest.mark.parametrize("command", [name for name, each in COMMANDS.items() if each.by_hydra])
def test_every_command_shows_its_help(command, monkeypatch, capsys):
    """Its config is composed for that."""
    part = ["agents"] if COMMANDS[command].parts else []
    monkeypatch.setattr(sys, "argv", ["interestlab", command, *part, "--help"])
    main()
    actual = capsys.readouterr().out
    assert actual.startswith("interestlab")
    assert "world: control, demo, medium, paper, small, tiny\n" in actual
    assert "$" not in actual.split("== Groups")[-1].split("==")[1]


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Hydra, called here, switches loggers off for the rest of the process: other tests read what they say."""
    root, loggers = logging.getLogger(), logging.getLogger().manager.loggerDict.values()
    was_on = [each for each in loggers if isinstance(each, logging.Logger) and not each.disabled]
    level, handlers = root.level, root.handlers[:]
    yield
    for each in was_on:
        each.disabled = False
    root.setLevel(level)
    root.handlers[:] = handlers


def refused(words, monkeypatch, capsys):
    """What is said of arguments that are wrong."""
    monkeypatch.setattr(sys, "argv", ["interestlab", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "compare nonsense=1",
            "nonsense=1: unknown entry; known are hydra, world, llm, experiment, production, agents",
        ),
        ("portrait foo", "argument='foo': must be ENTRY=VALUE, GROUP=CHOICE or a flag"),
        ("portrait world.response=[1]", "world.response=[1]: must be of the kind that the entry has"),
        ("portrait world.num_users.x=3", "world.num_users.x=3: unknown entry"),
        ("compare agents.hcb.planner.x=1", "agents.hcb.planner.x=1: unknown entry; known are alpha, width, parameters"),
        ("portrait ranker@agents.hcb.ranker=nope", "ranker='nope': unknown ranker; known are bm25, random, sequence"),
        ("portrait hydra/launcher=nope", "hydra/launcher='nope': unknown hydra/launcher; known are basic, joblib, ray"),
        ("compare agents=null", "agents=None: must be one of all"),
        ("portrait +seed=3", "+seed=3: is there already"),
        ("portrait ~nothing", "~nothing='~nothing': is not there"),
        ("compare agent@agents.foo=counts", "agent@agents.foo='counts': is for a place that the config does not have"),
        ("portrait seed=1,2", "seed='1,2': is several values: add -m for a sweep"),
        ("portrait -m nonsense=1,2", "nonsense='1,2': unknown entry"),
        ("portrait experiment.arms=[control,héb]", "experiment.arms='[control,héb]': cannot be read"),
        ("portrait ?key=1", "?key='1': cannot be read"),
        ("portrait llm.url=http://host/v1?key=secret", "llm.url='…': cannot be read"),
        ("portrait seed=[1", "seed='[1': cannot be read"),
        ("portrait hydra.searchpath=[file:///nope]", "hydra.searchpath='file:///nope': must be folders that exist"),
        ("portrait --config-dir /nope", "--config-dir='/nope': must be a folder that exists"),
        ("portrait --config-name nope", "--config-name='nope': must be the name of a config that exists"),
        ("portrait hydra.run.dir=/proc/x", "hydra.run.dir='/proc/x': must be a folder that can be written to"),
        ("portrait hydra.run.dir=${nope}", "hydra.run.dir='${nope}': must resolve"),
        ("portrait --wrong", "arguments='--wrong': unrecognized arguments: --wrong"),
        ("portrait --cfg job --info all", "arguments='--cfg job --info all': "),
        ("compare cache_dir=${nope}", "cache_dir="),
        ("compare agents.hcb={}", "agents.hcb={}: changes nothing: entries are merged; ~ENTRY leaves one out"),
        ("compare cache_dir=", "cache_dir='': must be a folder"),
        ("compare +runtime.speed=9", "runtime.speed=9: unknown entry; known are workers"),
    ],
)
def test_what_is_wrong_with_arguments_is_one_line(words, says, tmp_path, monkeypatch, capsys):
    """Of the portrait, whose config is the smallest, where no entry of another command's is meant."""
    monkeypatch.chdir(tmp_path)
    command, *arguments = words.split()
    actual = refused([command, *arguments], monkeypatch, capsys)
    assert actual.startswith(f"interestlab {command}: {says}")
    assert len(actual.strip().splitlines()) == 1
    assert "secret" not in actual


def test_a_benchmark_names_its_parts(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["interestlab", "benchmark", "--help"])
    main()
    assert capsys.readouterr().out.startswith("usage: interestlab benchmark simulator|agents|")
    for words in ([], ["nothing"], ["llm", "agents"]):
        actual = refused(["benchmark", *words], monkeypatch, capsys)
        assert "must be one of simulator, agents, llm, offline" in actual


def test_a_bug_keeps_its_traceback_and_the_environment_is_left_as_it_was(monkeypatch, tmp_path):
    def broken(config, folder):
        raise ZeroDivisionError

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr("experiments.portrait.command.run", broken)
    monkeypatch.setattr(sys, "argv", ["interestlab", "portrait"])
    with pytest.raises(ZeroDivisionError):
        main()
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_words_are_separated_from_overrides_and_flags():
    assert split_words(["a b", "seed=1", "-m", "--cfg", "job", "~x"]) == (
        ["a b"],
        ["seed=1", "-m", "--cfg", "job", "~x"],
    )


@pytest.mark.parametrize(
    "own", [[], ["hydra.searchpath=[file://{folder}]"], ["hydra={{searchpath:[file://{folder}]}}"]]
)
def test_a_config_is_composed_once_unless_somebody_elses_may_ask_for_several_runs(own, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "several.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {days: '1,2'}}}\n"
    )
    composed, folders = [], []
    monkeypatch.setattr(
        ConfigLoaderImpl,
        "load_configuration",
        lambda *words, load=ConfigLoaderImpl.load_configuration, **more: composed.append(1) or load(*words, **more),
    )
    monkeypatch.setattr(Task, "__call__", lambda self, config: folders.append(HydraConfig.get().runtime.output_dir))
    others = [f"hydra.searchpath=[file://{tmp_path}]", "+own=several"] if own else []
    words = ["portrait", *others, f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/runs"]
    monkeypatch.setattr(sys, "argv", ["interestlab", *words])
    main()
    if own:
        assert folders == [f"{tmp_path}/runs/{job}" for job in "01"]
    else:
        assert folders == [f"{tmp_path}/run"]
        assert len(composed) == 1
