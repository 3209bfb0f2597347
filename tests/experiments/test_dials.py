"""Comparisons along dials joined: planted curves come out, what may not be joined is refused, sweeps compose."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.llm.arms import settings_by_arm
from experiments.measures.across_worlds import over_worlds
from experiments.report import command as report
from experiments.report.dials import dials_of, join_dials
from experiments.report.dials_figure import dials_figure, field_of
from experiments.study.study import check_study
from sim.errors import InvalidInput
from tests.composing import compose
from tests.experiments.synthetic import planted_results

WATCH = "watch_minutes_per_user_day"
BASE = planted_results()
SWEEPS = sorted(Path(__file__).parents[2].glob("conf/sweep/*.yaml"))


def turned(seed, shift=0.0, **entries):
    """Results whose config has ``entries`` (dots as double underscores), and whose watch time is shifted."""
    results = copy.deepcopy(BASE)
    results["config"]["seed"] = seed
    for path, value in entries.items():
        *parents, last = path.split("__")
        part = results["config"]
        for key in parents:
            part = part.setdefault(key, {})
        part[last] = value
    for lift in results["lifts"].values():
        lift[WATCH]["relative"] += shift
    return results


@pytest.fixture
def alpha():
    """Two worlds at three places, given in disorder; the lift grows with alpha by what is planted."""
    return {
        f"{place}-{seed}": turned(seed, shift=0.1 * place + 0.01 * seed, world__semantic_alignment=place)
        for place in (1.0, 0.0, 0.5)
        for seed in (1, 0)
    }


def test_a_curve_is_the_mean_over_worlds_at_each_place(alpha):
    joined = join_dials(alpha)
    assert [dial["entry"] for dial in joined["dials"]] == ["world.semantic_alignment"]
    assert joined["dials"][0]["values"] == [0.0, 0.5, 1.0]
    assert joined["seeds"] == [0, 1]
    planted = BASE["lifts"]["llm"][WATCH]["relative"]
    for cell, place in zip(joined["cells"], (0.0, 0.5, 1.0), strict=True):
        lift = cell["lifts"]["llm"][WATCH]
        expected = over_worlds([planted + 0.1 * place, planted + 0.1 * place + 0.01])
        assert lift["by_world"] == pytest.approx(expected.by_world)
        assert (lift["mean"], lift["low"], lift["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    assert joined["intervals"] == "worlds"


def test_one_world_has_its_own_interval_over_users_and_says_so(alpha, tmp_path):
    one = {path: results for path, results in alpha.items() if results["config"]["seed"] == 0}
    joined = join_dials(one)
    assert joined["intervals"] == "users"
    actual, planted = joined["cells"][0]["lifts"]["llm"][WATCH], one["0.0-0"]["lifts"]["llm"][WATCH]
    assert (actual["mean"], actual["low"], actual["high"]) == pytest.approx(
        [planted[k] for k in ("relative", "low", "high")]
    )


def test_the_figure_draws_the_joined_numbers(alpha):
    joined = join_dials(alpha)
    figure = dials_figure(joined)
    panel = figure.axes[2]  # watch time
    drawn = {line.get_label(): line.get_ydata() for line in panel.get_lines() if len(line.get_xdata()) == 3}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bandit", "llm", "random"]
    for arm in ("llm", "random", "bandit"):
        means = [100 * cell["lifts"][arm][WATCH]["mean"] for cell in joined["cells"]]
        np.testing.assert_allclose(drawn[arm], means)


def test_two_dials_become_a_field():
    runs = {
        f"{a}-{e}": turned(0, shift=a + e, world__semantic_alignment=a, experiment__exploration_slots=e)
        for a in (0.0, 0.5, 1.0)
        for e in (1, 2)
    }
    joined = join_dials(runs)
    assert [dial["entry"] for dial in joined["dials"]] == ["world.semantic_alignment", "experiment.exploration_slots"]
    planted = BASE["lifts"]["llm"][WATCH]["relative"]
    expected = 100 * (planted + np.add.outer([0.0, 0.5, 1.0], [1, 2]))
    np.testing.assert_allclose(field_of(joined, "lifts", "llm", WATCH), expected)
    panels = dials_figure(joined).axes
    assert len(panels) == 3 * 6  # arms with a lift x metrics
    assert [bool(axes.get_title()) for axes in panels] == [True] * 6 + [False] * 12
    labels = [[label.get_text() for label in axes.get_xticklabels()] for axes in panels]
    assert [any(each) for each in labels] == [False] * 12 + [True] * 6
    assert labels[-1] == ["1", "2"]


def test_what_follows_from_a_dial_is_none_of_its_own():
    configs = [
        {"seed": n, "world": {"num_interests": n, "clusters": {"level_2": n}, "num_users": 5}} for n in (24, 48, 96)
    ]
    (dial,) = dials_of(configs)
    assert dial["entry"] == "world.num_interests"
    assert dial["moved_too"] == ["world.clusters.level_2"]


def test_a_part_with_another_target_is_one_entry_and_goes_by_its_class():
    planners = [
        {"_target_": "agents.planners.RandomNovelPlanner"},
        {"_target_": "agents.bandit_planners.HierarchicalBanditPlanner", "alpha": 2.0},
        {"_target_": "agents.bandit_planners.HierarchicalBanditPlanner", "alpha": 1.0},
        {"_target_": "agents.transitions.TransitionCountPlanner", "smoothing": 1.0},
    ]
    (dial,) = dials_of([{"seed": 0, "agents": {"mine": {"planner": planner}}} for planner in planners])
    assert dial["entry"] == "agents.mine.planner"
    assert dial["labels"] == [
        "RandomNovel",
        "HierarchicalBandit alpha=2.0",
        "HierarchicalBandit alpha=1.0",
        "TransitionCount",
    ]


def test_runs_that_differ_in_the_seed_alone_have_no_dial():
    assert dials_of([{"seed": 0, "world": 1}, {"seed": 1, "world": 1}]) == []


def refused(runs, match):
    with pytest.raises(InvalidInput, match=match) as caught:
        join_dials(runs)
    assert "\n" not in str(caught.value)


def test_what_may_not_be_joined_is_named(alpha):
    missing = dict(alpha)
    del missing["0.5-1"]
    refused(missing, r"seed=\[0\]: must be \[0, 1\] at world\.semantic_alignment=0\.5.*sweep done")
    refused({**alpha, "again": alpha["0.5-1"]}, r"seed=1: must not come twice in one place: 0\.5-1 and again")
    other_arms = copy.deepcopy(alpha)
    for path, arms in zip(other_arms, (["a"], ["b"]), strict=False):
        other_arms[path]["config"]["experiment"]["arms"] = arms
    refused(other_arms, r"experiment\.arms=.*must be the same in all runs")
    three = {
        f"{a}{e}{u}": turned(0, world__semantic_alignment=a, experiment__exploration_slots=e, world__num_users=u)
        for a in (0, 1) for e in (1, 2) for u in (5, 6)
    }  # fmt: skip
    refused(three, r"world\.num_users.*at most 2 entries")


def test_the_command_writes_page_table_data_and_figure(alpha, tmp_path, monkeypatch, capsys):
    for name, results in alpha.items():
        path = tmp_path / "sweep" / name / "results.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(results))
    monkeypatch.setattr(sys, "argv", ["interestlab report", str(tmp_path / "sweep"), "--out", str(tmp_path / "out")])
    report.main()
    assert capsys.readouterr().out == f"report: {tmp_path / 'out' / 'dial.html'}\n"
    page, table = (tmp_path / "out" / "dial.html").read_text(), (tmp_path / "out" / "dial.md").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<h1>Arms by share of true labels (alpha)</h1>" in page
    assert "<code>world.semantic_alignment</code>: 0, 0.5, 1" in page
    assert "Too few to tell: no difference on this page is a finding. With 2 worlds" in page
    assert "t intervals over worlds" in page
    assert "t intervals over worlds" in table
    assert json.loads((tmp_path / "out" / "dial.json").read_text())["seeds"] == [0, 1]
    lift = 100 * np.mean([BASE["lifts"]["llm"][WATCH]["relative"] + s for s in (0.1, 0.11)])
    section = table.split("## watch time")[1].split("##")[0]
    (row,) = [line for line in section.splitlines() if line.startswith("| llm |")]
    assert f"{lift:+.1f}" in row.split("|")[-2]
    assert (tmp_path / "out" / "figures" / "dial.svg").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_job_of_a_sweep_is_a_comparison_and_says_its_question(path, tmp_path):
    text = path.read_text()
    assert f"interestlab compare -m +sweep={path.stem} " in text
    assert f"interestlab report multirun/{path.stem}\n" in text.replace("  ", "\n")
    parameters = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    parsed = OverridesParser.create().parse_overrides([f"{key}={values}" for key, values in parameters.items()])
    values = [list(each.sweep_string_iterator()) for each in parsed]
    for job in range(max(map(len, values))):  # in which each value of each parameter comes
        words = [f"{key}={each[job % len(each)]}" for key, each in zip(parameters, values, strict=True)]
        config = compose("compare", [f"+sweep={path.stem}", *words, f"cache_dir={tmp_path}"])
        study = check_study(config)
        settings_by_arm(study, config)
    assert parameters["seed"] == "0,1,2"
    jobs = np.prod([len(str(values).split(",")) for values in parameters.values()])
    assert f" {jobs} jobs x " in text
