"""What the arena says of planted scores: its record, its flat table, its tables of text and its page."""

import copy
import re

import pytest
from markupsafe import escape
from matplotlib.figure import Figure

from experiments.arena.figures import NAMES, sizes_figure
from experiments.arena.page import limits_table, ranking_table, shown, summary, support_table, write_arena
from experiments.arena.rewards import REWARDS
from experiments.arena.schema import ArenaResults
from experiments.arena.summary import _of_policy, flat, total
from experiments.off_policy.evaluation import ESTIMATORS
from tests.experiments.schema import check_schema

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
AGENTS = ("wide", "narrow")
TRUTH = {"narrow": 0.2, "wide": 0.1}
LIVE = {"narrow": 0.3, "wide": 0.4}


def by_metric(value):
    return dict.fromkeys(REWARDS, value)


def interval(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 40}


def cell(*estimates, reach=0.05):
    known = [None if e is None else e - reach for e in estimates]
    return {"estimates": list(estimates), "low": known, "high": [None if e is None else e + reach for e in estimates]}


def support(rows, low):
    mean = {"value": 0.9, "low": low, "high": None if low is None else 1.1, "n": rows}
    actual = {"rows": rows, "effective_rows": rows / 4, "mean_weight": mean, "largest_share": 0.25}
    return {"slots": actual, "verdict": "" if low is not None else "too few rows"}


def scores_of():
    """Scores of a policy whose logs have every estimator right for ``narrow`` and a little high for ``wide``."""
    right = {"narrow": cell(0.2, 0.2), "wide": cell(0.12, 0.14)}
    estimators = dict.fromkeys(ESTIMATORS, right) | {"dm": {"narrow": cell(None, None), "wide": cell(0.1, 0.1)}}
    of_size = {
        "logs": 2,
        "support": {"narrow": support(1000, 0.7), "wide": support(50, None)},
        "metrics": by_metric(estimators),
    }
    return {
        "requests": 40,
        "truth": {name: by_metric(interval(value)) for name, value in TRUTH.items()},
        "seen": {"narrow": by_metric(0.2), "wide": by_metric(0.05)},
        "reach": {"narrow": 1.0, "wide": 0.5},
        "novel": {"narrow": 0.01, "wide": 0.6},
        "sizes": {"500": of_size, "5000": of_size},
    }


@pytest.fixture(scope="module")
def results():
    live = {name: by_metric(interval(value)) for name, value in LIVE.items()}
    scores = scores_of()
    return {
        "seed": 3,
        "slots": 10,
        "agents": ["narrow", "wide"],
        "novel": scores["novel"],
        "live": live,
        "learning": {},
        "per_user_day": {name: by_metric(1.0) for name in AGENTS},
        "logging": {"production": _of_policy(scores, live), "random": {**_of_policy(scores, live), "sizes": {}}},
    }


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    """Where the page of these results is.

    The figures by size are made for every reward, but one reward's are written: to write the others' takes seconds.
    """

    def quickly_written(arena, metric, narrow):
        figure = sizes_figure(arena, metric, narrow)
        if metric != next(iter(REWARDS)):
            figure = Figure(figsize=(1, 1))
            figure.subplots()
        return figure

    facts = {"users": "40", "items": "90", "interests": "5", "days": "2", "log_days": "1", "redraws": "2"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.arena.page.sizes_figure", quickly_written)
        return write_arena(results, facts, tmp_path_factory.mktemp("arena")).parent


def test_a_policys_scores_are_judged_by_its_truth_and_ranked_by_the_ab(results):
    each = results["logging"]["production"]
    # the truth of these requests has narrow first, the A/B has wide first
    assert each["limits"]["positive"] == {"seen": {"tau": -1.0, "winner": 0.0}, "truth": {"tau": -1.0, "winner": 0.0}}
    ips = each["sizes"]["500"]["metrics"]["watch"]["ips"]
    assert ips["agents"]["narrow"]["rmse"] == pytest.approx(0)
    assert ips["agents"]["wide"]["bias"] == pytest.approx(0.03)
    assert (ips["winner"], ips["tau"]) == (0.0, -1.0)
    dm = each["sizes"]["500"]["metrics"]["watch"]["dm"]
    assert (dm["agents"]["narrow"]["estimate"], dm["winner"], dm["tau"]) == (None, 0.0, None)  # no log ranks


def test_the_record_is_of_its_schema(results):
    check_schema(ArenaResults, results)


def test_over_all_agents_the_error_is_a_median_and_what_was_not_made_covers_nothing():
    cells = {
        "a": {"rmse": 0.1, "covered": 10, "logs": 10},
        "b": {"rmse": 0.3, "covered": 5, "logs": 10},
        "c": {"rmse": None, "covered": 0, "logs": 10},
        "d": {"rmse": 0.5, "covered": 9, "logs": 10},
        "nothing": {"rmse": 0.5, "covered": 0, "logs": 10},
    }
    actual = total(cells, {"a": 1.0, "b": 2.0, "c": 1.0, "d": 1.0, "nothing": 0.0})
    assert actual == {"rmse": pytest.approx(0.15), "covered": pytest.approx(24 / 50)}
    assert total({"c": cells["c"]}, {"c": 1.0})["rmse"] is None


def test_the_flat_table_has_a_row_a_cell(results):
    table = flat(results)
    assert len(table) == 2 * len(REWARDS) * len(ESTIMATORS) * len(AGENTS)  # the random policy has no sizes
    row = next(
        row
        for row in table.to_pylist()
        if (row["impressions"], row["metric"], row["estimator"], row["agent"]) == (5000, "watch", "snips", "wide")
    )
    assert row["logging"] == "production"
    assert (row["truth"], row["live"]) == (0.1, 0.4)
    assert row["estimate"] == pytest.approx(0.13)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("watch", 3.14159, "3.14"),
        ("positive", 0.1234, "12.34"),
        ("positive", -0.01, f"{MINUS}1.00"),
        ("watch", None, DASH),
    ],
)
def test_values_are_seconds_or_percent(metric, value, text):
    assert shown(metric, value) == text


def test_the_table_of_limits(results):
    heads, rows = limits_table(results)
    assert {len(row) for row in rows} == {len(heads)}
    assert [row[:2] for row in rows] == [[a, p] for a in ("narrow", "wide") for p in ("production", "random")]
    assert rows[2][2:7] == ["60", "50", "40.00", "10.00", "5.00"]  # new, reach, then A/B, requests, reach in percent
    place = 4 + 3 * list(REWARDS).index("watch")
    assert rows[2][place : place + 3] == ["0.40", "0.10", "0.05"]  # seconds


def test_the_table_of_estimators(results):
    heads, rows = ranking_table(results)
    assert {len(row) for row in rows} == {len(heads)}
    assert len(rows) == 2 * len(ESTIMATORS) + 2 + 2  # sizes by estimators, and what an endless log says, twice
    ips = next(row for row in rows if row[1:3] == ["5,000", "IPS"])
    # median of 0 % (narrow) and sqrt(.02^2/2 + .04^2/2) of .1 (wide): 16 %; all intervals hold; tau, winner
    assert ips[3:8] == ["2", "16", "100", f"{MINUS}1.00", "0"]
    dm = next(row for row in rows if row[1:3] == ["500", "direct method"])
    assert dm[4:8] == ["0", "50", DASH, "0"]
    endless = [row for row in rows if row[1] == "\N{INFINITY}"]
    assert endless[0][2:8] == ["truth, part in reach", DASH, DASH, DASH, f"{MINUS}1.00", "0"]


def test_the_table_of_support_is_of_the_largest_logs(results):
    heads, rows = support_table(results)
    assert {len(row) for row in rows} == {len(heads)}
    assert rows == [
        ["production", "narrow", "1,000", "250", "0.90 [0.70, 1.10]", "25", "none"],
        ["production", "wide", "50", "12", "0.90", "25", "too few rows"],
    ]


def test_the_summary_calls_an_agent_better_after_adjustment_only(results):
    first = summary(results)[0]  # wide .4 +- .01, narrow .3 +- .01
    assert first == "A/B, positives: wide is highest (40.00% of slots); higher than narrow after adjustment."
    near = copy.deepcopy(results)
    near["live"]["narrow"]["positive"] = interval(0.379)  # intervals of one alone do not overlap; those of six do
    assert summary(near)[0] == "A/B, positives: wide is highest (40.00% of slots); no difference detected to narrow."


def test_the_summary_names_the_estimator_with_the_smallest_error(results):
    (line,) = [line for line in summary(results) if line.startswith("Smallest median error")]
    assert "on logs of production with 5,000 impressions" in line
    assert "positives: direct method (0%, covers 50% of truths)" in line


def test_every_estimator_has_a_name_for_readers(folder):
    assert set(NAMES) == set(ESTIMATORS)
    page = (folder / "arena.html").read_text()
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>|<wbr>", "", page, flags=re.DOTALL))
    assert not re.search(r"\b(ips_clipped|switch_dr|reward_interaction|pseudo_inverse|novel_positive)\b", text)


def test_the_page_has_every_table_and_figure(results, folder):
    page = (folder / "arena.html").read_text()
    assert "A world of 40 users, 90 items and 5 interests (seed 3)" in page
    assert "Logged by production, random" in page
    for kind in ("wide", "narrow"):  # for a screen, and for a phone
        assert len(re.findall(rf'class="{kind}-only"><svg ', page)) == 1 + len(REWARDS)
    for _, rows in (limits_table(results), ranking_table(results), support_table(results)):
        for row in rows:
            assert all(f">{escape(text)}</td>" in page for text in row[1:])
    for name in ("arena", *(f"arena_sizes_{metric}" for metric in REWARDS)):
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000
    assert "| production | narrow | 1,000 |" in (folder / "arena.md").read_text()


@pytest.mark.parametrize("narrow", [False, True])
def test_sizes_are_named_also_where_the_last_policy_has_no_logs(results, narrow):
    figure = sizes_figure(results, "watch", narrow)
    figure.draw_without_rendering()
    lowest = figure.axes[-1 if narrow else -2]
    assert [label.get_text() for label in lowest.get_xticklabels()] == ["500", "5,000"]
    assert all(axes.get_xlim()[0] <= 500 and axes.get_xlim()[1] >= 5000 for axes in figure.axes)
    errors = [axes for axes in figure.axes if axes.get_yscale() == "log"]
    assert len(errors) == 2
    assert all(axes.get_ylim()[0] > 0 for axes in errors)
