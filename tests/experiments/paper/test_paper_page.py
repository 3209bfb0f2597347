"""The page of the paper's run: whole, self-contained, every figure in it, and every verdict."""

import copy
import json
import re

import pytest

from experiments.paper.adjusted import adjusted_verdicts
from experiments.paper.command import joined
from experiments.paper.figures import DRAWN, ONE_COLUMN, TWO_COLUMNS, narrow_figures, paper_figures
from experiments.paper.page import CAPTIONS, summary, write_paper_page
from experiments.paper.verdicts import HOLDS, OPEN
from experiments.reporting.figures.files import image_bytes, save_figure
from experiments.results_schema import PaperResults
from tests.experiments.paper.planted import plant, variants_of
from tests.experiments.schema import check_schema
from tests.experiments.test_report_page import Page


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    made = variants_of(tmp_path_factory.mktemp("logs"))
    plant(made["main"], "llm", "novel_impression_ratio_agent_slots", 0.3)
    plant(made["main"], "llm", "watch_minutes_per_user_day", -0.1)
    return made


class Planned:
    """A comparison of which only the config matters."""

    def __init__(self, variant, config):
        self.variant, self.config = variant, {**config, "agents": {}}


@pytest.fixture(scope="module")
def results(variants):
    return joined(variants, [Planned(name, worlds.each[0]["config"]) for name, worlds in variants.items()])


@pytest.fixture(scope="module")
def figures(variants):
    """For a screen, and for a phone."""
    return paper_figures(variants), narrow_figures(variants)


@pytest.fixture(scope="module")
def page(results, variants, figures, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    adjusted = adjusted_verdicts(variants, results)
    return write_paper_page(results, results["claims"], adjusted, figures, path).read_text()


def test_the_page_is_whole_and_needs_no_network(page):
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    inside = [source for source in parser.sources if source.startswith("#")]
    assert {source[1:] for source in inside} <= set(parser.ids)
    files = [source for source in parser.sources if not source.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9_]+/seed_[0-9]+/report\.html", file) for file in files)
    assert "http://" not in page
    assert "https://" not in page
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {f"#{id}" for id in parser.ids}


def test_every_figure_is_there(page, figures):
    assert len(figures[0]) == len(CAPTIONS)
    for name in CAPTIONS:
        drawn = page[page.index(f'id="drawn_{name}"') :]
        drawn = drawn[: drawn.index("</figure>")]
        assert drawn.count("<svg ") == 1 + (name in figures[1])


def test_every_arm_has_its_panel(variants, figures):
    for drawn in figures:
        for name, arms in (("figure_4b", set(variants["main"].arms) - {"hcb"}), ("figure_4c", {*DRAWN})):
            assert {axes.get_title() for axes in drawn[name].axes} - {""} == arms
    assert all(figure.get_figwidth() == ONE_COLUMN for figure in figures[1].values())


def test_the_summary_and_verdicts_hold_after_adjustment_for_the_number_of_claims(variants, results, tmp_path):
    weak = copy.deepcopy(variants)
    # .2 +- .15 by itself; as one of six controls it reaches t(1 - .025 / 6, 4) / t(.975, 4) = 1.7 times as far
    plant(weak["main"], "oracle", "discoveries_per_user", 0.2, 0.15)
    rows = joined(weak, [Planned(name, worlds.each[0]["config"]) for name, worlds in weak.items()])
    (alone,) = [row for row in rows["controls"] if row["id"] == "oracle"]
    assert alone["verdict"] == HOLDS
    adjusted = adjusted_verdicts(weak, rows)
    assert adjusted["oracle"] == OPEN
    assert adjusted["C1"] == HOLDS  # planted with a narrow interval
    said = summary(rows["claims"], rows, adjusted)
    assert "not told apart: " in said[1]
    assert re.search(r"another verdict would be given to .*oracle", said[1])
    page = write_paper_page(rows, rows["claims"], adjusted, ({}, {}), tmp_path / "report.html").read_text()
    of_oracle = page[page.index("<b>oracle</b>") :]
    assert 'class="verdict open">not told apart</span><span class="unit">by its own interval: holds</span>' in of_oracle
    assert of_oracle.index("not told apart") < of_oracle.index("</tr>")


def test_claims_and_controls_stand_on_top_with_their_verdicts(page, results):
    table = page[: page.index('id="figures"')]
    for row in (*results["claims"], *results["controls"], *results["what_language_adds"]):
        assert f"<b>{row['id']}</b>" in table
    verdicts = dict(re.findall(r"<b>(C\d)</b>.*?class=\"verdict \w+\">([^<]+)<", table, flags=re.DOTALL))
    assert verdicts == {row["id"]: row["verdict"] for row in results["claims"]}
    assert verdicts["C1"] == "holds"
    assert verdicts["C4"] == "does not hold"


def test_results_are_json_and_hold_the_claims(results):
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    check_schema(PaperResults, results)
    assert [row["id"] for row in results["claims"]] == [f"C{number}" for number in range(1, 9)]
    assert {"claim", "paper", "here", "low", "high", "verdict", "why"} <= set(results["claims"][0])
    assert results["variants"]["main"]["arms"]["llm"]["watch_minutes_per_user_day"]["mean"] == pytest.approx(0.45)


@pytest.mark.slow
def test_figures_fit_a_papers_columns_and_embed_their_fonts(figures, tmp_path):
    for figure in figures[0].values():
        assert figure.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
        content = image_bytes(figure, "pdf")
        assert b"/FontFile2" in content  # TrueType, embedded
        assert b"/Type3" not in content
        assert b"CreationDate" not in content
    files = save_figure(figures[0]["figure_4a"], tmp_path, "figure_4a")
    assert [path.name for path in files if path.stat().st_size] == ["figure_4a.svg", "figure_4a.png", "figure_4a.pdf"]


def test_a_variant_that_was_not_run_is_said_to_be_missing(variants, results, figures, tmp_path, monkeypatch):
    for name in ("figure_4a", "figure_4b", "figure_4c", "figure_5"):  # of the main variant alone, so they are the same

        def drawn(worlds, narrow=False, name=name):
            return figures[narrow][name]

        monkeypatch.setattr(f"experiments.paper.figures.{name}", drawn)
    fewer = {name: worlds for name, worlds in variants.items() if name in ("main", "a_a")}
    wide, narrow = paper_figures(fewer), narrow_figures(fewer)
    assert set(figures[0]) - set(wide) == {"figure_3"}
    assert "figure_3" not in narrow
    one = {"figure_5": wide["figure_5"]}  # an SVG takes most of a second, and the others are no different here
    adjusted = adjusted_verdicts(variants, results)
    page = write_paper_page(results, results["claims"], adjusted, (one, {}), tmp_path / "report.html").read_text()
    assert "<b>Figure 3</b> is not available" in page
    assert "<b>Figure 5</b> is not available" not in page


def test_a_day_on_which_nobody_was_active_leaves_its_panel_empty(tmp_path):
    variants = variants_of(tmp_path)
    for results in variants["main"].each:
        for series in results["daily"]["arms"].values():
            series["active_users"]["relative"][1] = None
    figure = paper_figures(variants)["figure_5"]
    assert [part.get_suptitle().split(",")[0] for part in figure.subfigs] == ["watch time"]
