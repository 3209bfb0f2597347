"""The page of the paper's run: whole, self-contained, every figure in it, and every verdict."""

import json
import re

import pytest

from experiments.paper.command import joined
from experiments.paper.figures import ONE_COLUMN, TWO_COLUMNS, paper_figures
from experiments.paper.page import CAPTIONS, write_paper_page
from experiments.reporting.figures.files import save_figure
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


@pytest.fixture(scope="module")
def results(variants):
    class Planned:
        """A comparison of which only the config matters."""

        def __init__(self, variant, config):
            self.variant, self.config = variant, {**config, "agents": {}}

    return joined(variants, [Planned(name, worlds.each[0]["config"]) for name, worlds in variants.items()])


@pytest.fixture(scope="module")
def page(results, variants, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_paper_page(results, results["claims"], paper_figures(variants), path).read_text()


def test_the_page_is_whole_and_needs_no_network(page):
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    inside = [source for source in parser.sources if source.startswith("#")]
    assert {source[1:] for source in inside} <= set(parser.ids)
    files = [source for source in parser.sources if not source.startswith(("#", "data:image/svg+xml;base64,"))]
    assert all(re.fullmatch(r"[a-z0-9_]+/seed_[0-9]+/report\.html", file) for file in files)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page


def test_every_figure_is_there(page, variants):
    assert page.count("data:image/svg+xml;base64,") == len(CAPTIONS) == len(paper_figures(variants))
    for name in CAPTIONS:
        assert f'id="drawn_{name}"' in page


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


def test_figures_fit_a_papers_columns_and_embed_their_fonts(variants, tmp_path):
    for name, figure in paper_figures(variants).items():
        assert figure.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
        svg, png, pdf = save_figure(figure, tmp_path, name)
        assert (svg.suffix, png.suffix, pdf.suffix) == (".svg", ".png", ".pdf")
        content = pdf.read_bytes()
        assert b"/FontFile2" in content  # TrueType, embedded
        assert b"/Type3" not in content
        assert b"CreationDate" not in content


def test_a_variant_that_was_not_run_is_said_to_be_missing(variants, results, tmp_path):
    fewer = {name: worlds for name, worlds in variants.items() if name in ("main", "a_a")}
    page = write_paper_page(results, results["claims"], paper_figures(fewer), tmp_path / "report.html").read_text()
    assert "<b>Figure 3</b> is not available" in page


def test_a_day_on_which_nobody_was_active_leaves_its_panel_empty(tmp_path):
    variants = variants_of(tmp_path)
    for results in variants["main"].each:
        for series in results["daily"]["arms"].values():
            series["active_users"]["relative"][1] = None
    watch, active = paper_figures(variants)["figure_5"].axes[:2]
    assert len(watch.lines) > len(active.lines)
