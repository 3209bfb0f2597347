"""Watching: what is shown of days adds up to what the results say, in whatever order arms live."""

from itertools import zip_longest

import numpy as np
import pytest
from grimp import build_graph

from experiments.live.watching import ArmDay, DaySums, Watch, days_of
from experiments.measures.results import assemble
from sim.random import RandomStream
from tests.experiments.synthetic import CONFIG, FIRST_DAY, planted_arms

SHOWN = ("watch_minutes_per_user_day", "active_user_share", "positive_rate", "novel_impression_ratio")
NO_ONE = ArmDay("llm", 1, DaySums(user_days=10, minutes=0.0, active=0, impressions=0, positive=0, novel=0))


class Kept:
    """A tracker that remembers."""

    def __init__(self):
        self.rows = []

    def scalars(self, step, values):
        self.rows += [(step, name, value) for name, value in values.items()]

    def finish(self, artifacts):
        pass


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Arms whose days lie in folders as an arm leaves them, and what the report says of the whole."""
    runs, design = planted_arms()
    folder = tmp_path_factory.mktemp("arms")
    for run in runs:
        for day in range(design.num_days):
            place = folder / run.name / f"day_{FIRST_DAY + day:04}"
            place.mkdir(parents=True)
            run.log.where(np.flatnonzero(run.log.day == FIRST_DAY + day)).write(place / "log.parquet")
    return folder, runs, design, assemble(runs, design, CONFIG, {}, RandomStream(1, "results").generator())


def days(planted, run):
    folder, _, design, _ = planted
    return days_of(run.name, run.assigned, design.consumed_before, folder / run.name, FIRST_DAY, design.num_days)


def test_days_add_up_to_the_results(planted):
    _, runs, _, results = planted
    for run in runs:
        each = list(days(planted, run))
        whole = sum((day.sums for day in each[1:]), each[0].sums)
        assert [day.day for day in each] == [1, 2, 3, 4]
        for name in SHOWN:
            assert whole.values()[name] == pytest.approx(results["arms"][run.name][name]["value"], rel=1e-6)


def test_the_last_line_of_an_arm_shows_its_results_whatever_the_order(planted, capsys):
    _, runs, design, results = planted
    watch = Watch(tuple(run.name for run in runs), design.num_days, Kept())
    for side_by_side in zip_longest(*(days(planted, run) for run in reversed(runs))):
        for day in side_by_side:
            watch(day)
    actual = capsys.readouterr()
    assert actual.out == ""  # the last line of stdout is the report's path, and nothing else is there
    lines = actual.err.splitlines()
    assert len(lines) == 1 + len(runs) * design.num_days
    for run in runs:
        last = [line for line in lines if f"  {run.name} " in line][-1]
        assert last.startswith("day 4/4")
        values = results["arms"][run.name]
        assert f"watched {values['watch_minutes_per_user_day']['value']:5.2f} min" in last
        for word, name in (("positive", "positive_rate"), ("novel", "novel_impression_ratio")):
            assert f"{word} {100 * values[name]['value']:5.1f} %" in last


def test_the_tracker_gets_each_day_by_itself_and_once(planted):
    _, runs, design, _ = planted
    kept, run = Kept(), runs[0]
    watch = Watch((run.name,), design.num_days, kept)
    for day in days(planted, run):
        watch(day)
    watch.report_cached(run.name, days(planted, run))  # lived just now: nothing is told twice
    assert len(kept.rows) == len({row[:2] for row in kept.rows}) == design.num_days * len(SHOWN)
    of_a_day = run.log.where(np.flatnonzero(run.log.day == FIRST_DAY + 2))
    assert {row[:2]: row[2] for row in kept.rows}[3, f"positive_rate/{run.name}"] == of_a_day.positive.mean()


def test_an_arm_from_the_cache_is_tracked_and_not_shown(planted, capsys):
    _, runs, design, _ = planted
    kept = Kept()
    Watch((runs[0].name,), design.num_days, kept).report_cached(runs[0].name, days(planted, runs[0]))
    assert {step for step, *_ in kept.rows} == {1, 2, 3, 4}
    assert capsys.readouterr().err == ""


def test_a_day_without_active_users_has_no_rates(capsys):
    kept = Kept()
    Watch(("llm",), 1, kept)(NO_ONE)
    assert {name for _, name, _ in kept.rows} == {"watch_minutes_per_user_day/llm", "active_user_share/llm"}
    assert "\N{EN DASH}" in capsys.readouterr().err


def test_an_arms_stage_imports_nothing_that_shows_it():
    """An edit of a metric or of a tracker must not throw arms away."""
    graph = build_graph("sim", "agents", "experiments")
    reached = graph.find_upstream_modules("experiments.live.arm_stages")
    assert "experiments.live.arms" in reached
    shows = ("metrics", "tracking", "watching", "run_arms", "results", "figures", "contrasts", "inference", "tables")
    assert [each for each in reached if each.startswith("experiments.") and each.split(".")[1] in shows] == []
    assert "agents.processes" not in reached
