"""The cost of agents: rows for training and serving, on a world that takes seconds."""

import json

import pytest

from experiments.benchmark import command
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose


def run(cache, *words):
    return interestlab("benchmark", *words, f"cache_dir={cache}")


def test_every_agent_is_timed_with_production(shared_cache, tmp_path):
    words = ["world=tiny", "experiment.arms=[control,random,two_tower]", "experiment.reference=random"]
    words += ["world.num_users=60", "experiment.burn_in_days=2", "calls=10", "batches=[1,40]"]
    done = run(shared_cache, "agents", *words, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads((tmp_path / "benchmark.json").read_text())["rows"]}
    for name in ("random", "two_tower"):
        assert rows[f"{name}: training on the burn-in"]["value"] > 0
        for batch in (1, 40):
            row, production = rows[f"{name}: serving {batch} at once"], rows[f"production: serving {batch} at once"]
            assert row["low"] <= row["value"] <= row["p99"] <= row["high"]
            assert row["ratio"] == pytest.approx(row["value"] / production["value"])


def test_a_mistake_gets_one_line(shared_cache):
    done = run(shared_cache, "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("interestlab benchmark: part")


@pytest.mark.parametrize(("override", "says"), [("batches=[0]", "batches"), ("calls=1", "calls")])
def test_what_is_impossible_is_named(override, says, shared_cache, tmp_path):
    with pytest.raises(InvalidInput, match=f"^{says}"):
        command.run(compose("benchmark_agents", [override, f"cache_dir={shared_cache}"]), tmp_path, ["agents"])
