"""Comparisons of several worlds joined: the mean over worlds, its interval, and what may not be joined."""

import copy
import json
import sys

import pytest

from experiments.command import run_command
from experiments.inference.users import error_behind
from experiments.inference.worlds import over_worlds
from experiments.measures.across_worlds import find_runs, join
from experiments.report import command as report
from experiments.reporting.words import few_worlds
from sim.errors import InvalidInput
from tests.experiments.synthetic import planted_results


@pytest.fixture(scope="module")
def runs():
    """Three worlds whose watch time and novelty differ by what is planted here."""
    joined = {}
    for seed, shift in ((0, -0.01), (1, 0.0), (2, 0.04)):
        results = copy.deepcopy(planted_results())
        results["config"]["seed"] = seed
        for arm in results["lifts"]:
            results["lifts"][arm]["watch_minutes_per_user_day"]["relative"] += shift
        joined[f"run{seed}/results.json"] = results
    return joined


def test_lifts_are_joined_world_by_world(runs):
    joined = join(runs)
    assert joined["seeds"] == [0, 1, 2]
    planted = [results["lifts"]["llm"]["watch_minutes_per_user_day"]["relative"] for results in runs.values()]
    lift = joined["lifts"]["llm"]["watch_minutes_per_user_day"]
    assert lift["by_world"] == pytest.approx(planted)
    lifts = [results["lifts"]["llm"]["watch_minutes_per_user_day"] for results in runs.values()]
    errors = [error_behind(lift["low"], lift["high"]) for lift in lifts]
    known = over_worlds(planted, errors)
    assert (lift["mean"], lift["low"], lift["high"]) == pytest.approx((known.mean, known.low, known.high))
    assert lift["i_squared"] == pytest.approx(known.i_squared)
    assert lift["vs"] == "control"


def test_the_page_and_the_table_name_every_arm_and_the_longest_watched_stands_first(
    runs, tmp_path, monkeypatch, capsys
):
    for name, results in runs.items():
        path = tmp_path / "sweep" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(results))
    monkeypatch.setattr(sys, "argv", ["interestlab report", str(tmp_path / "sweep"), "--out", str(tmp_path / "out")])
    report.main()
    assert capsys.readouterr().out == f"report: {tmp_path / 'out' / 'worlds.html'}\n"
    page = (tmp_path / "out" / "worlds.html").read_text()
    rows = (tmp_path / "out" / "worlds.md").read_text().splitlines()[2:]
    order = [row.split(" | ")[0].removeprefix("| ") for row in rows]
    lifts = join(runs)["lifts"]
    assert set(order) == {"control", "bandit", "llm", "random"}
    tau = 100 * lifts["llm"]["watch_minutes_per_user_day"]["tau"]
    assert f"\N{GREEK SMALL LETTER TAU} {tau:.1f}" in next(row for row in rows if row.startswith("| llm"))
    means = [lifts[arm]["watch_minutes_per_user_day"]["mean"] if arm != "control" else 0.0 for arm in order]
    assert means == sorted(means, reverse=True)
    assert all(f">{arm}<" in page for arm in order)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (tmp_path / "out" / "figures" / "worlds.svg").stat().st_size > 1000


@pytest.mark.parametrize("differs", ["seed", "dial"])
def test_a_metric_that_older_results_lack_is_unknown(runs, differs, tmp_path):
    """The first run knows neither a share that no table shows nor a difference that every table shows."""
    for number, (name, results) in enumerate(copy.deepcopy(runs).items()):
        for values in (*results["arms"].values(), *results["lifts"].values()) if number == 0 else ():
            del values["explored_share"], values["watch_minutes_per_user_day"]
        if differs == "dial":
            results["config"] |= {"seed": 0, "world": {**results["config"]["world"], "semantic_alignment": number / 2}}
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(results))
    page = report.report([tmp_path], tmp_path / "out")
    joined = json.loads((page.parent / f"{page.stem}.json").read_text())
    first = joined if differs == "seed" else joined["cells"][0]
    for metric in ("explored_share", "watch_minutes_per_user_day"):
        assert first["arms"]["llm"][metric]["mean"] is None
        assert first["lifts"]["llm"][metric]["mean"] is None
    assert first["lifts"]["llm"]["novel_positive_rate"]["mean"] is not None
    assert "\N{EN DASH}" in (page.parent / f"{page.stem}.md").read_text()


def test_only_the_seed_may_differ(runs):
    others = copy.deepcopy(runs)
    others["run1/results.json"]["config"]["world"]["num_users"] = 401
    with pytest.raises(InvalidInput, match=r"world\.num_users.*run1.*only the seed may differ"):
        join(others)


def test_the_same_world_twice_is_no_more_evidence(runs):
    others = copy.deepcopy(runs)
    others["run1/results.json"]["config"]["seed"] = 0
    with pytest.raises(InvalidInput, match="seed"):
        join(others)


@pytest.mark.parametrize("content", ["", "[]", '{"arms": {}}', '{"config": {}, "arms"'])
def test_half_a_file_is_one_clear_line(content, tmp_path, monkeypatch, capsys):
    (tmp_path / "results.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["interestlab report", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        run_command("report")
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "must be the results.json of a finished comparison" in message
    assert message.count("\n") == 1


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="must be a comparison's folder"):
        find_runs([tmp_path])


def test_few_worlds_are_explained_and_two_are_too_few_to_tell(runs, tmp_path):
    assert few_worlds(5) == ""
    assert few_worlds(1).startswith("Too few to tell: one world gives no interval")
    assert few_worlds(3).startswith("With 3 worlds an interval reaches 4.3 standard errors")
    assert few_worlds(2).startswith("Too few to tell: no difference on this page is a finding. With 2 worlds")
    assert "reaches 12.7 standard errors" in few_worlds(2)
    for number, results in enumerate(list(runs.values())[:2]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "results.json").write_text(json.dumps(results))
    page = report.report([tmp_path], tmp_path / "out").read_text()
    assert "Too few to tell: no difference on this page is a finding." in page


def test_the_summary_of_worlds_says_what_holds_after_adjustment_over_arms_and_metrics(runs):
    joined = join(runs)
    for of_arm in joined["lifts"].values():
        for lift in of_arm.values():
            lift |= {"mean": 0.01, "low": -0.01, "high": 0.03, "p": 0.9}
    watch = joined["lifts"]["llm"]["watch_minutes_per_user_day"]
    watch |= {"mean": 0.1, "low": 0.01, "high": 0.19, "p": 0.02}  # .24 as the smallest of twelve
    assert report.summary(joined)[0] == "Watch time against control: no difference detected for bandit, llm and random."
    watch["p"] = 0.004
    assert report.summary(joined)[0] == (
        "Watch time against control: higher under llm (+10.0% [+1.0, +19.0]); "
        "no difference detected for bandit and random."
    )
    assert report.summary({**joined, "seeds": [0, 1]}) == []
