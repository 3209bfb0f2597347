"""docs/environments.md: every Python block is run, every field of the spaces is in it."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401 - registers the environments
from envs.config import world_config
from envs.minari_export import export_log
from sim.hidden.world import World
from sim.log import DTYPES, InteractionLog

TEXT = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def world_until(last):
    """The world of `make demo` on a day, without anybody being served."""
    world = World(world_config("demo"), 0)
    for day in range(world.day + 1, last + 1):
        world.begin_day(day)
    return world


def demo_log(path):
    """What stands in for the log of `make demo`: two impressions, the second of an item uploaded on day 3."""
    item = world_until(2).catalog.num_items
    columns = {"user": [0, 0], "day": [0, 3], "item": [0, item]}
    rows = {name: np.array(columns.get(name, [0, 0]), dtype) for name, dtype in DTYPES.items()}
    path.parent.mkdir(parents=True)
    InteractionLog(**rows).write(path)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(block, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    pytest.importorskip("stable_baselines3")
    demo_log(tmp_path / "outputs" / "demo" / "log_control.parquet")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    exec(block, {"__name__": "__main__"})
    assert len(list(tmp_path.glob("datasets/*/*/data"))) == block.count("dataset = ")


def test_there_are_blocks_for_each_face_and_each_partner():
    assert len(BLOCKS) == 6
    assert sum("dataset = " in block for block in BLOCKS) == 2
    # The environments are registered in this process anyway; a reader's block must do it.
    assert all("\nimport envs" in block for block in BLOCKS if "interestlab/" in block)


@pytest.mark.parametrize("name", ["Exploration", "ClusterPlanning"])
def test_every_field_is_documented_under_its_face(name):
    section = TEXT.split(f"\n## {name}-v0\n")[1].split("\n## ")[0]
    env = gym.make(f"interestlab/{name}-v0")
    _, at_reset = env.reset(seed=1)
    *_, info = env.step(env.action_space.sample())
    shared = TEXT.split("\n## Exploration-v0\n")[1].split("\n### ")[0]  # info "as above"
    assert all(f"| `{field}` |" in section for field in env.observation_space)
    assert all(f"`{field}`" in section or f"`{field}`" in shared for field in at_reset.keys() | info.keys())


def test_every_field_of_an_exported_log_is_documented(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    demo_log(tmp_path / "log" / "log.parquet")
    export_log(InteractionLog.read(tmp_path / "log" / "log.parquet"), world_until(3).catalog, "demo/control-v0")
    section = TEXT.split("\n## Minari\n")[1]
    (episode,) = minari.load_dataset("demo/control-v0").iterate_episodes()
    assert all(f"`{field}`" in section for field in episode.infos)
    assert all(f"`{f}`" in section or f.startswith("history_") for f in episode.observations)
