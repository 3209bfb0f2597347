"""Interference: planted biases are recovered, and a whole small run writes its page."""

import json

import numpy as np
import pytest

from experiments.interference.command import COMPARED, biases, interference, table
from experiments.interference.summary import adjusted_biases, summary
from experiments.several.worlds import Worlds
from sim.errors import InvalidInput
from sim.log import AGENT, InteractionLog
from sim.random import RandomStream
from tests.composing import compose


def results_of(lifts, arms):
    """Results of one world in which arms have these lifts: (relative, low, high), of every metric."""
    cells = {name: dict(zip(("relative", "low", "high"), lifts, strict=True)) for name in COMPARED}
    return {"lifts": dict.fromkeys(arms, cells)}


def worlds_of(lifts, arms=("new",)):
    return Worlds(tuple(range(len(lifts))), tuple(results_of(of_world, arms) for of_world in lifts), ())


def test_a_planted_bias_is_recovered_and_chance_is_not_taken_for_one():
    rng = RandomStream(0, "lifts").generator()
    true = 0.1 + 0.02 * rng.standard_normal(200)
    noise, width = 0.03 * rng.standard_normal((2, 200)), 1.96 * 0.03
    twins = worlds_of([(t, t - 0.001, t + 0.001) for t in true])
    fair = worlds_of([(t + e, t + e - width, t + e + width) for t, e in zip(true, noise[0], strict=True)])
    biased = worlds_of([(t / 2 + e, t / 2 + e - width, t / 2 + e + width) for t, e in zip(true, noise[1], strict=True)])
    actual = biases({"twins": twins, "split": fair, "shared": biased})["new"]["watch_minutes_per_user_day"]
    assert actual["truth"]["mean"] == pytest.approx(true.mean())
    assert actual["split"]["bias"]["low"] < 0 < actual["split"]["bias"]["high"]
    assert 0.9 <= actual["split"]["covered"] / actual["split"]["worlds"] <= 0.99
    assert actual["split"]["rmse"] == pytest.approx(np.sqrt((noise[0] ** 2).mean()))
    assert actual["shared"]["bias"]["low"] < -true.mean() / 2 < actual["shared"]["bias"]["high"]
    assert actual["shared"]["bias"]["high"] < 0
    assert actual["shared"]["covered"] < actual["split"]["covered"]


def test_every_arm_but_the_control_has_a_row_for_each_metric_and_diversion():
    worlds = worlds_of([(0.1, 0.0, 0.2), (0.2, 0.1, 0.3)], ("new", "newer"))
    actual = biases({"twins": worlds, "split": worlds, "shared": worlds})
    assert set(actual) == {"new", "newer"}
    heads, rows = table(actual)
    assert [row[0] for row in rows] == ["new"] * 2 * len(COMPARED) + ["newer"] * 2 * len(COMPARED)
    assert {row[2] for row in rows} == {"split", "shared"}
    assert all(len(row) == len(heads) for row in rows)


def test_a_lift_that_is_not_known_leaves_no_bias():
    twins = worlds_of([(0.1, 0.0, 0.2), (0.2, 0.1, 0.3)])
    actual = biases({"twins": twins, "split": worlds_of([(0.1, 0.0, 0.2), (None, None, None)])})
    cell = actual["new"]["positive_rate"]["split"]
    assert cell["bias"]["mean"] is None
    assert (cell["covered"], cell["worlds"]) == (1, 1)
    heads, rows = table(actual)
    assert all(len(row) == len(heads) for row in rows)


def of_biases(*shifts):
    """What is measured in four worlds where ``split`` is off by these in every metric; intervals reach .05."""
    twins = worlds_of([(0.1, 0.0, 0.2)] * 4)
    return biases({"twins": twins, "split": worlds_of([(0.1 + s, 0.05 + s, 0.15 + s) for s in shifts])})


def test_the_summary_has_biases_after_holms_adjustment_and_how_many_intervals_hold_the_truth():
    surely = of_biases(-0.10, -0.11, -0.09, -0.10)
    (line,) = summary(surely, 4)
    assert line.startswith(f"Split: a bias is detected in {len(COMPARED)} of {len(COMPARED)} estimates: Watch time ")
    assert "Watch time under new (\N{MINUS SIGN}10.0 [\N{MINUS SIGN}11.3, \N{MINUS SIGN}8.7])" in line
    assert line.endswith(f"; the 95% interval holds the truth in 0 of {4 * len(COMPARED)} cases.")
    alone = of_biases(-0.01, -0.03, -0.02, -0.04)  # by its own interval alone
    cell = alone["new"]["watch_minutes_per_user_day"]["split"]["bias"]
    assert cell["high"] < 0
    assert adjusted_biases(alone)["new", "watch_minutes_per_user_day", "split"] == pytest.approx(5 * cell["p"])
    hold = f"the 95% interval holds the truth in {4 * len(COMPARED)} of {4 * len(COMPARED)} cases."
    assert summary(alone, 4) == [f"Split: a bias is detected in none of {len(COMPARED)} estimates; {hold}"]


def test_too_few_worlds_have_no_verdict_on_a_bias():
    (line,) = summary(of_biases(-0.10, -0.11, -0.09, -0.10), 2)
    assert "bias" not in line
    assert "interval holds the truth" in line


@pytest.mark.slow
def test_a_run_leaves_a_page_a_table_and_every_comparison(golden):
    folder = golden("interference")
    actual = json.loads((folder / "interference.json").read_text())
    assert set(actual["arms"]) == {"counts"}
    text = (folder / "interference.html").read_text()
    assert "codiverted" in text
    assert text.count('class="narrow-only"><svg ') == 1
    assert (folder / "interference.md").read_text().count("\n") == 2 + 3 * len(COMPARED)
    for diversion in ("twins", "split", "shared", "codiverted"):
        for seed in (0, 1):
            assert (folder / diversion / f"seed_{seed}" / "report.html").is_file()


@pytest.mark.slow
def test_lifts_against_the_truth_are_those_of_the_comparisons(golden):
    folder = golden("interference")
    actual = json.loads((folder / "interference.json").read_text())["arms"]["counts"]["positive_rate"]
    for name in ("twins", "shared"):
        files = [folder / name / f"seed_{seed}" / "results.json" for seed in (0, 1)]
        lifts = [json.loads(path.read_text())["lifts"]["counts"]["positive_rate"]["relative"] for path in files]
        assert lifts == (actual["truth"] if name == "twins" else actual[name]["lift"])["by_world"]


@pytest.mark.slow
def test_each_log_of_a_shared_world_is_of_the_arms_own_users(golden):
    folder = golden("interference")
    logs = [InteractionLog.read(folder / "shared" / "seed_0" / f"log_{arm}.parquet") for arm in ("control", "counts")]
    assert not set(logs[0].user.tolist()) & set(logs[1].user.tolist())
    assert not (logs[0].source == AGENT).any()
    assert (logs[1].source == AGENT).any()


def test_a_variant_must_be_what_it_is_called(tmp_path):
    renamed = "interference.variants.split={experiment.diversion: shared}"
    with pytest.raises(InvalidInput, match=r"interference.variants.split='shared': must be named as"):
        interference(compose("interference", ["world=tiny", renamed]), tmp_path)
    alone = [f"~interference.variants.{name}" for name in ("split", "shared", "codiverted")]
    with pytest.raises(InvalidInput, match="must have a diversion to hold against twins"):
        interference(compose("interference", ["world=tiny", *alone]), tmp_path)
