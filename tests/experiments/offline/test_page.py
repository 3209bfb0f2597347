"""Tables, page and figure of planted numbers."""

import copy

from experiments.offline.figures import prediction_figure, ranked
from experiments.offline.page import as_markdown, differences, summary, table, write_offline
from experiments.offline.schema import OfflineResults
from tests.experiments.schema import check_schema

NONE, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def cell(value, **more):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, **more}


def measures(value):
    return {name: cell(value) for name in ("recall", "ndcg", "mrr", "serendipity", "novelty", "coverage")}


AGENTS = {"popular": (0.3, False), "worse": (0.2, False), "plans": (0.5, True), "tied": (0.3, True)}
TASK = {
    "users": 40,
    "targets": 90,
    "candidates": 20.0,
    "left_out": {"of a kind": 3, "of another": 0},
    "chance": {"recall": 0.25, "ndcg": 0.2, "mrr": 0.3, "serendipity": 0.1},
    "agents": {name: {"planned": planned, "measures": measures(value)} for name, (value, planned) in AGENTS.items()},
    "differences": {
        name: {key: cell(value - 0.3, p=0.01, p_holm=p) for key in ("recall", "ndcg", "mrr")}
        for name, value, p in (("worse", 0.2, 0.0004), ("plans", 0.5, 0.03), ("tied", 0.3, None))
    },
}
EMPTY = {**TASK, "users": 0, "targets": 0, "candidates": None, "chance": {}, "agents": {}, "differences": {}}
RESULTS = {
    "offline": {"top_k": 10, "reference": "popular", "exclude_seen": True, "held_out_days": 2},
    "dataset": {
        "name": "a <log>", "num_users": 60, "num_impressions": 5000, "first_day": 0, "last_day": 9, "split_day": 8,
        "left_out": {"no item": 7},
    },
    "users": {"asked": 40, "left out: no positive in the held-out days": 20},
    "left_out_agents": {"oracle": "knows too much"},
    "tasks": {"next_item": TASK, "next_novel_cluster": EMPTY},
}  # fmt: skip


def test_what_is_planted_is_of_the_schema():
    check_schema(OfflineResults, {"config": {}, **RESULTS})


def test_agents_are_sorted_and_chance_closes_the_table():
    assert ranked(TASK) == ["plans", "popular", "tied", "worse"]
    heads, rows = table(TASK, 10)
    assert heads[:4] == ["agent", "recall@10", "NDCG@10", "MRR@10"]
    assert rows[0][1] == "0.500 [0.400, 0.600]"
    assert rows[-1] == ["chance, exact", "0.250", "0.200", "0.300", "0.100", NONE, NONE]
    heads, rows = differences(TASK, 10)
    assert [row[:3] for row in rows] == [
        ["plans", "+0.200 [+0.100, +0.300]", ".030"],
        ["tied", f"+0.000 [{MINUS}0.100, +0.100]", NONE],
        ["worse", f"{MINUS}0.100 [{MINUS}0.200, +0.000]", "<.001"],
    ]
    assert all(len(row) == len(heads) for row in rows)


def test_the_figure_shows_every_agent_its_interval_and_chance():
    figure = prediction_figure(TASK, "next item", 10, "popular")
    left = figure.axes[0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["plans", "popular", "tied", "worse"]
    assert left.get_ylim() == (3.5, -0.5)  # the best on top
    chance, *dots = [line for line in left.get_lines() if len(line.get_xdata())]
    assert set(chance.get_xdata()) == {0.25}
    assert [(dot.get_xdata()[0], dot.get_ydata()[0], dot.get_marker()) for dot in dots] == [
        (0.5, 0, "D"), (0.3, 1, "o"), (0.3, 2, "D"), (0.2, 3, "o"),
    ]  # fmt: skip
    spans = [path.vertices[:, 0].tolist() for lines in left.collections for path in lines.get_paths()]
    assert spans[0] == [0.4, 0.6]


def test_a_phone_has_one_panel_below_the_other():
    wide, narrow = (prediction_figure(TASK, "next item", 10, "popular", phone) for phone in (False, True))
    for panels, beside in ((wide.axes, True), (narrow.axes, False)):
        left, right = (axes.get_subplotspec() for axes in panels)
        assert (left.rowspan.start == right.rowspan.start) == beside
    assert narrow.get_figwidth() < 4 < wide.get_figwidth()


def test_the_summary_says_what_differs_after_holms_adjustment():
    (line,) = summary(RESULTS)
    assert line == (
        "Next item, recall@10 against popular: higher for plans (+0.200 [+0.100, +0.300]); lower for worse "
        f"({MINUS}0.100 [{MINUS}0.200, +0.000]); no difference detected for tied."
    )
    weaker = copy.deepcopy(RESULTS)
    weaker["tasks"]["next_item"]["differences"]["plans"]["recall"]["p_holm"] = 0.06  # its own interval leaves 0 out
    assert "higher" not in summary(weaker)[0]
    assert "no difference detected for plans and tied" in summary(weaker)[0]


def test_the_page_says_what_is_left_out_and_what_the_numbers_cannot_tell(tmp_path):
    text = write_offline(RESULTS, tmp_path).read_text()
    assert "a &lt;log&gt;" in text
    assert "What was never shown cannot be a hit" in text
    parts = [
        text.index(f'<h2 id="{part}">') for part in ("definitions", "summary", "limits-of-these-numbers", "next-item")
    ]
    assert parts == sorted(parts)
    assert "Not asked for: 3 of a kind." in text
    assert "of another" not in text
    assert "No user has a target" in text
    assert "knows too much" in text
    assert '<th scope="row">no item</th><td>7</td>' in text
    assert "No user has a target." in as_markdown(RESULTS)
