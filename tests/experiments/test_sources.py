"""What a stage's digest rests on: every module that it can reach, and no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml

import sim
from experiments.plugins import OURS
from experiments.stages import sources
from sim.errors import InvalidInput

ROOT = Path(sim.__file__).parents[1]
STAGES = (
    "experiments.live.pipeline",
    "experiments.live.arm_stages",
    "experiments.llm.stages",
    "experiments.llm.table_parts",
    "experiments.explain.columns",
    "experiments.knowledge.folds_stage",
    "experiments.knowledge.jobs",
    "experiments.offline.lists",
    "experiments.arena.sides",
    "experiments.arena.logs",
    "experiments.arena.live",
    "experiments.arena.offline",
    "experiments.arena.scores",
    "experiments.certify.stage",
    "experiments.fit.lives",
)
"""Every module in which a stage's ``make`` stands."""

ALL = sorted(grimp.build_graph(*OURS, cache_dir=None).modules)


def test_these_are_all_modules_with_stages():
    actual = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "experiments").rglob("*.py")
        if "run_stage(" in path.read_text(encoding="utf-8")
    }
    assert actual - {"experiments.stages.stages"} == set(STAGES)


def imported_by(module):
    """Our modules that a new interpreter has once it has imported one."""
    code = f"import sys, {module}; print([m for m in sys.modules if m.partition('.')[0] in {OURS!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))


@pytest.mark.slow  # a new interpreter each
@pytest.mark.parametrize("module", ["experiments.live.arm_stages", "experiments.arena.scores"])
def test_what_python_imports_is_reached(module):
    assert imported_by(module) <= sources.reached(module)


@pytest.fixture
def touched(monkeypatch):
    """Call with a module's name: from then on its source is another."""
    changed = set()
    real = sources._digest_of
    monkeypatch.setattr(sources, "_digest_of", lambda name: "touched" if name in changed else real(name))
    return lambda *names: (changed.clear(), changed.update(names))


@pytest.mark.parametrize("module", STAGES)
def test_a_touched_module_changes_the_digests_of_the_stages_that_can_reach_it_and_of_no_others(module, touched):
    graph = grimp.build_graph(*OURS, cache_dir=None)
    before = sources.code_digest(module, {})
    for other in ALL:
        touched(other)
        inside = other == module or module.startswith(f"{other}.") or graph.chain_exists(module, other)
        package = any(name.startswith(f"{other}.") for name in sources.reached(module))
        assert (sources.code_digest(module, {}) != before) == (inside or package), other


@pytest.mark.parametrize(
    ("agent", "module"),
    [
        ("persona_oracle", "experiments.oracles.persona_oracle"),
        ("oracle", "experiments.oracles.oracle"),
        ("counts", "agents.planners"),
        ("hcb", "agents.linucb"),
        ("llm", "agents.llm.planner"),
        ("novelty", "agents.novelty"),
        ("two_tower", "agents.two_tower"),
    ],
)
def test_what_an_agents_config_names_is_source_of_its_arm(agent, module, touched):
    config = {"arms": [{"agent": yaml.safe_load((ROOT / "conf" / "agent" / f"{agent}.yaml").read_text())}]}
    before = sources.code_digest("experiments.live.arm_stages", config)
    touched(module)
    assert sources.code_digest("experiments.live.arm_stages", config) != before


def test_the_arenas_scores_rest_on_its_intervals(touched):
    before = sources.code_digest("experiments.arena.scores", {})
    touched("experiments.inference.users")
    assert sources.code_digest("experiments.arena.scores", {}) != before


def test_a_module_that_is_not_there_is_no_source_of_a_stage():
    with pytest.raises(ModuleNotFoundError, match=r"agents\.lmm"):
        sources.code_digest("agents.lmm", {})
    with pytest.raises(ModuleNotFoundError, match=r"agents\.hcb"):
        sources.code_digest("experiments.live.pipeline", {"_target_": "agents.hcb.Planner"})


def test_authored_files_are_source_of_whoever_reaches_their_package(tmp_path, monkeypatch):
    for file in ("shop/__init__.py", "shop/till.py", "shop/data/prices.yaml", "shop/data/notes.txt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("# one")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "OURS", ("shop",))

    def digest():
        for cached in (sources._imports, sources.reached, sources._digest_of):
            cached.cache_clear()
        return sources.code_digest("shop.till", {})

    before = digest()
    (tmp_path / "shop/data/notes.txt").write_text("# two")
    assert digest() == before
    (tmp_path / "shop/data/prices.yaml").write_text("# two")
    assert digest() != before
    for cached in (sources._imports, sources.reached, sources._digest_of):
        cached.cache_clear()


@pytest.mark.slow
def test_an_edited_planner_makes_its_arm_anew_and_an_edited_metric_none(tmp_path):
    """The whole command, run from a copy of the source that is edited in between (two runs of a small world).

    That an edited module of the simulation changes every stage's digest is tested above, module by module.
    """
    source, cache = tmp_path / "source", tmp_path / "cache"
    # Not ``sim``: machine code belongs to a source file's path, so a copy would be compiled anew.
    for package in {*OURS, "hydra_plugins"} - {"sim"}:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))

    def cached(*edits):
        for edit in edits:
            with (source / edit).open("a", encoding="utf-8") as file:
                file.write("\n# edited\n")
        out = tmp_path / "out"
        words = ["world=tiny", "world.num_users=60", "experiment.burn_in_days=2", "experiment.days=1"]
        words += ["experiment.arms=[control,counts,hcb]", "production.epochs=1", "runtime.workers=1"]
        words += [f"cache_dir={cache}", f"hydra.run.dir={out}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}
        command = [sys.executable, "-m", "experiments.compare", *words]
        done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(json.loads((out / "timings.json").read_text())["from_cache"])

    everything = {"burn-in", "clusters", "arm control", "arm counts", "arm hcb"}
    assert cached() == set()
    assert cached("experiments/measures/metrics.py", "agents/bandit_planners.py") == everything - {"arm hcb"}


def test_a_plugin_brings_what_it_imports_of_ours(tmp_path, monkeypatch):
    """A plugin that builds on ``agents.popular`` had been found in the cache after that module was edited."""
    source = "import numpy\nfrom agents.popular import PopularAgent\ndef later():\n    from agents import two_tower\n"
    (tmp_path / "shelf_that_builds.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    alone = set(sources.code_of("experiments.live.arm_stages", {}))
    actual = set(sources.code_of("experiments.live.arm_stages", {"agent": {"_target_": "shelf_that_builds.Shelf"}}))
    assert {"agents.popular", "agents.two_tower"} <= actual - alone
    assert sources.reached("agents.popular") <= actual


def test_the_oracles_are_no_part_of_other_arms():
    assert not {"experiments.oracles.oracle", "experiments.oracles.persona_oracle"} & set(
        sources.code_of("experiments.live.arm_stages", {"_target_": "agents.random.RandomAgent"})
    )
    ours = {"_target_": "experiments.oracles.persona_oracle.PersonaOraclePlanner"}
    assert "experiments.oracles.persona_oracle" in sources.code_of("experiments.live.arm_stages", ours)


def test_a_file_that_is_no_python_is_one_line(monkeypatch):
    def broken(*_, **__):
        raise grimp.exceptions.SourceSyntaxError("experiments/scratch.py", 1, "def (")

    sources._imports.cache_clear()
    monkeypatch.setattr(grimp, "build_graph", broken)
    try:
        with pytest.raises(InvalidInput, match=r"source='experiments/scratch.py': must be Python \(line 1\)"):
            sources._imports()
    finally:
        sources._imports.cache_clear()
