import numpy as np
import pytest

from agents.llm.table import label_skew
from experiments.measures.metrics import PRIMARY
from experiments.reporting.figures.arms import arm_styles
from experiments.reporting.figures.comparison import (
    figure_3,
    figure_4a,
    figure_4b,
    figure_4c,
    figure_5,
    figures_of,
    missing,
    sequential,
)
from experiments.reporting.figures.files import image_bytes, save_figure
from tests.experiments.synthetic import planted_results

FIGURES = (figure_3, figure_4a, figure_4b, figure_4c, figure_5, sequential)
CURVE = [{"step": s, "loss": 1.0, "match_rate": 0.5, "held_out": {"recall@1": 0.1, "recall@10": None}} for s in (0, 9)]


def table_of(mode, counts):
    return {"label_counts": counts, "label_skew": label_skew(np.array(counts)), "curation": {"mode": mode}}


@pytest.fixture(scope="module")
def results():
    llm, ablation = table_of("diversified", [4, 3, 2, 1]), table_of("random", [9, 1, 0, 0])
    arms = {"llm_zero_shot": table_of("diversified", [5, 5, 0, 0]), "llm": llm, "llm_random_curation": ablation}
    return {**planted_results(), "llm": {"curve": CURVE, **llm}, "llm_arms": arms}


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_results_give_the_same_markup(results, draw):
    assert image_bytes(draw(results), "svg") == image_bytes(draw(results), "svg")


def test_the_same_results_give_the_same_files(results, tmp_path):
    one, two = (save_figure(figure_4b(results), tmp_path / folder, "figure_4b") for folder in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert one[0].read_text().startswith("<?xml")
    assert b"<dc:date>" not in one[0].read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "figure_4b.pdf", "figure_4b.png", "figure_4b.svg",
    ]  # fmt: skip


def test_4b_draws_the_lifts_with_both_intervals(results):
    panels = figure_4b(results).axes
    axes = panels[0]
    drawn = {bars.get_label(): bars for bars in axes.containers}
    assert set(drawn) == {"llm", "random"}
    line, _, (across, along) = drawn["llm"].lines
    lifts = results["lifts"]["llm"]
    x, y = lifts["novel_impression_ratio_agent_slots"], lifts["positive_rate_agent_slots"]
    assert line.get_xydata()[0] == pytest.approx([100 * x["relative"], 100 * y["relative"]])
    assert across.get_segments()[0][:, 0] == pytest.approx([100 * x["low"], 100 * x["high"]])
    assert along.get_segments()[0][:, 1] == pytest.approx([100 * y["low"], 100 * y["high"]])
    assert "bandit (%)" in panels[-1].get_xlabel()


def test_4a_draws_match_rate_and_every_recall(results):
    (axes,) = figure_4a(results).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert list(lines) == ["match rate", "recall@1, held-out pairs", "recall@10, held-out pairs"]
    assert lines["recall@1, held-out pairs"] == [[0, 10], [9, 10]]


def test_4a_draws_later_days_and_rings_the_peaks(results):
    curve = [{**point, "later_days": {"recall@10": r}} for point, r in zip(CURVE, (0.3, 0.2), strict=True)]
    curve[1] = {**curve[1], "match_rate": 0.7}
    (axes,) = figure_4a({**results, "llm": {"curve": curve}}).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["recall@10, later days"] == [[0, 30], [9, 20]]
    rings = [ring.get_offsets().tolist() for ring in axes.collections]
    assert rings == [[[9, 70]], [[0, 10]], [[0, 30]]]  # recall@10 of held-out pairs has no value, hence no peak


def test_3_lays_both_curations_over_each_other(results):
    figure = figure_3(results)
    (axes,) = figure.axes
    lines = {line.get_label().split(":")[0]: line for line in axes.lines}
    assert list(lines) == ["diversified curation", "random curation", "every label as often"]
    assert lines["diversified curation"].get_xydata().tolist() == [[1, 40], [2, 30], [3, 20], [4, 10]]
    assert lines["random curation"].get_xydata().tolist() == [[1, 90], [2, 10]]
    assert list(lines["every label as often"].get_ydata()) == [25, 25]
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert "Gini 0.25" in told[0]
    assert "coverage 50%" in told[1]
    assert "90% of pairs" in told[1]


def test_3_of_one_table(results):
    (axes,) = figure_3({**results, "llm_arms": {}}).axes
    assert len(axes.lines) == 2
    served = {"label_counts": [3, 1], "label_skew": label_skew(np.array([3, 1]))}
    (axes,) = figure_3({**results, "llm": served}).axes
    assert axes.lines[0].get_label().startswith("no fine-tuning")
    silent = {"label_counts": [0, 0], "label_skew": label_skew(np.array([0, 0]))}
    assert missing({**results, "llm": silent}, "figure_3") is not None


def test_figures_of_leaves_out_what_has_no_data(results):
    assert list(figures_of(results)) == ["figure_3", "figure_4a", "figure_4b", "figure_4c", "figure_5", "sequential"]
    assert list(figures_of(planted_results(("control", "llm")))) == ["figure_4c", "figure_5", "sequential"]
    assert figures_of(planted_results(("control",))) == {}


def test_4c_draws_the_curve_and_5_every_day(results):
    (axes,) = figure_4c(results).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["llm"].get_ydata() == pytest.approx(100 * np.array(results["uci"]["llm"]["lift"]))
    above, below = figure_5(results).axes
    for axes, series in ((above, "watch_minutes"), (below, "active_users")):
        bars = {bars.get_label(): bars for bars in axes.containers}
        expected = 100 * np.array(results["daily"]["arms"]["llm"][series]["relative"])
        assert bars["llm"].lines[0].get_ydata() == pytest.approx(expected)
        assert np.round(bars["llm"].lines[0].get_xdata()).tolist() == [1, 2, 3, 4]


def test_arms_keep_their_look_when_the_order_changes(results):
    turned = {**results, "arms": dict(reversed(results["arms"].items()))}
    assert arm_styles(turned) == arm_styles(results)
    looks = [tuple(style.values()) for style in arm_styles(results).values()]
    assert len(set(looks)) == len(looks)


def test_without_the_reference_4b_says_so_and_4c_falls_back():
    results = planted_results(("control", "llm"))
    assert missing(results, "figure_4b") == "the reference arm was not run"
    assert "Not available" in figure_4b(results).axes[0].texts[0].get_text()
    assert missing(results, "figure_4c") is None
    assert "control" in figure_4c(results).axes[0].get_ylabel()
    assert missing(results, "figure_4a") is not None


@pytest.mark.parametrize("arms", [("llm",), ("bandit", "llm"), ("control",)])
@pytest.mark.parametrize("draw", FIGURES)
def test_no_selection_of_arms_breaks_a_figure(arms, draw):
    assert image_bytes(draw(planted_results(arms)), "svg")


def test_4b_magnifies_the_arms_near_the_reference_where_others_are_far():
    far, near = planted_lift(-0.9, 1.7), planted_lift(0.02, -0.05)
    both = {"lifts": {"far": far, "near": near}, "arms": {"counts": {}, "far": {}, "near": {}}, "daily": {"vs": None}}
    whole, magnified = figure_4b(both).axes
    assert len(whole.containers) == 2
    assert len(magnified.containers) == 1
    assert magnified.get_xlim()[0] > -30
    only_near = {**both, "lifts": {"near": near}}
    assert len(figure_4b(only_near).axes) == 1


def planted_lift(novelty, feedback):
    names = ("novel_impression_ratio_agent_slots", "positive_rate_agent_slots")
    values = zip(names, (novelty, feedback), strict=True)
    return {n: {"vs": "counts", "relative": v, "low": v - 0.01, "high": v + 0.01, "p": 0.0} for n, v in values}


def test_the_running_figure_draws_every_primary_metric_with_its_interval(results):
    panels = sequential(results).axes
    assert len(panels) == len(PRIMARY)
    for axes, metric in zip(panels, PRIMARY, strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        curve = results["sequential"]["llm"][metric]
        assert lines["llm"].get_ydata() == pytest.approx(100 * np.array(curve["relative"]))
        assert lines["llm"].get_xdata().tolist() == curve["day"]
        areas = [area.get_paths()[0].vertices for area in axes.collections]
        assert any(area[:, 1].max() == pytest.approx(100 * max(curve["high"])) for area in areas)
    assert missing(planted_results(("control",)), "sequential") is not None
