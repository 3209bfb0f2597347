"""What is left of a config where it says what was done, and where it is what a stage rests on."""

from omegaconf import OmegaConf

from experiments.study.described import described
from experiments.study.study import TABLE_PLANNERS, portable

CONFIG = {
    "cache_dir": "/somewhere",
    "seed": 3,
    "agents": {"a": {"size": 1}, "b": {"size": "${seed}"}, "c": {"size": 2}},
    "runtime": {"workers": 2},
    "tracker": None,
    "days": 5,
}


def test_where_and_how_are_left_out_and_the_rest_stays_in_its_order():
    actual = described(OmegaConf.create(CONFIG))
    assert list(actual) == ["seed", "agents", "days"]
    assert actual["agents"]["b"] == {"size": 3}  # resolved


def test_agents_are_those_that_took_part_in_their_order():
    actual = described(CONFIG, ("c", "control", "a"), without=["seed"])
    assert list(actual) == ["agents", "days"]
    assert list(actual["agents"]) == ["c", "a"]
    assert list(CONFIG["agents"]) == ["a", "b", "c"]  # the config itself is untouched


def test_a_portable_agent_has_no_table_wherever_it_stood():
    """A language model's table; another part's setting of this name stays."""
    planner = {"_target_": TABLE_PLANNERS[0], "beam": 2}
    agent = {"_target_": "x.Y", "planner": {**planner, "table": "/here/table"}, "table": "stays", "sizes": [1, 2]}
    assert portable(agent) == {"_target_": "x.Y", "planner": planner, "table": "stays", "sizes": [1, 2]}
    assert portable(None) is None
