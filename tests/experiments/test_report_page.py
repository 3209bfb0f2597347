import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from experiments.compare.page import _estimate, captions, write_report
from experiments.compare.summary import summary
from experiments.measures.metrics import METRICS
from experiments.reporting.figures.comparison import figure_4b, figure_4c, figure_5, figures_of, narrow_figures_of
from experiments.reporting.figures.inline import REM_AN_INCH
from experiments.study.described import flat
from tests.experiments.synthetic import crowd_of, first_days, planted_results

LLM = {
    "curve": [{"step": 0, "match_rate": 0.0, "recall_1": None}, {"step": 50, "match_rate": 1.0}],
    "label_skew": {"diversified": {"gini": 0.41}, "random": {"gini": 0.66, "coverage": 0.7}},
    "model": "<tiny>",
}  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return planted_results()


def page_of(results, folder, timings=None, drawn=(figure_4b, figure_4c, figure_5)):
    """The page with these figures; to draw one takes longer than all else."""
    figures = {draw.__name__: draw(results) for draw in drawn}
    return write_report(results, timings or {}, figures, folder).read_text()


class Page(HTMLParser):
    """Collects what the page refers to and whether its elements close."""

    def __init__(self):
        super().__init__()
        self.sources, self.ids, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for key, value in attributes if key in ("src", "href")]
        self.ids += [value for key, value in attributes if key == "id"]
        if tag not in ("meta", "link", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(results, tmp_path):
    text = page_of({**results, "llm": LLM}, tmp_path, {"burn-in": 12.25})
    page = Page()
    page.feed(text)
    assert page.open == []
    assert all(source.startswith("#") for source in page.sources)
    assert {source[1:] for source in page.sources} <= set(page.ids)
    assert text.count("<svg ") == 4  # the figure of the fine-tuning curve is drawn by itself
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert text.count("url(") == text.count("url(#")
    assert len(set(page.ids)) == len(page.ids)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    for metric in METRICS:
        assert metric.title.replace("'", "&#39;") in text
    assert "12.2" in text
    assert "0.66" in text
    assert "&lt;tiny&gt;" in text
    assert "nan" not in text.split("</style>")[1].split('<h2 id="differences">')[1].split("<script>")[0].lower()


def test_the_summary_speaks_of_differences_only_where_there_are_some(results):
    watch = next(sentence for sentence in summary(results) if sentence.startswith("Watch time"))
    assert watch.startswith("Watch time against control: higher under llm (+")
    assert "lower under random (\N{MINUS SIGN}" in watch
    assert "no difference detected for bandit (" in watch
    lift = results["lifts"]["llm"]["watch_minutes_per_user_day"]
    assert f"{100 * lift['low']:+.1f}" in watch


def test_the_summary_agrees_with_the_table_on_what_survives_the_number_of_metrics(results):
    changed = copy.deepcopy(results)
    watch = changed["lifts"]["llm"]["watch_minutes_per_user_day"]
    watch |= {"low": 0.001, "high": 0.2, "relative": 0.1005, "p": 0.04, "p_adjusted": 0.09}
    told = next(sentence for sentence in summary(changed) if sentence.startswith("Watch time"))
    assert "higher" not in told
    assert "no difference after adjustment, though the arm's own interval leaves zero out, for llm (" in told
    assert "llm (+10.1%\N{NO-BREAK SPACE}[+0.1,\N{NO-BREAK SPACE}+20.0], adjusted p = 0.090)" in told
    watch["p_adjusted"] = 0.04
    told = next(sentence for sentence in summary(changed) if sentence.startswith("Watch time"))
    assert "higher under llm (+10.1%\N{NO-BREAK SPACE}[+0.1,\N{NO-BREAK SPACE}+20.0], adjusted p = 0.040)" in told


def test_where_nothing_is_detected_the_summary_says_what_could_have_been(results):
    changed = copy.deepcopy(results)
    watch = changed["lifts"]["llm"]["watch_minutes_per_user_day"]
    watch |= {"low": -0.1, "high": 0.1, "relative": 0.0, "p": 1.0, "p_adjusted": 1.0}
    told = next(sentence for sentence in summary(changed) if sentence.startswith("Watch time"))
    # half of .2 is 1.96 errors; 2.80 of them are detected in four of five cases
    assert "+10]; detectable from ±14%)" in told.replace("+10.0", "+10").replace("14.3", "14").replace("14.2", "14")


@pytest.mark.parametrize(("users", "days"), [(2, 4), (99, 4), (400, 2)])
def test_too_few_users_or_days_are_too_few_to_tell(results, users, days, tmp_path):
    changed = copy.deepcopy(results)
    for of_arm in changed["arms"].values():
        of_arm["watch_minutes_per_user_day"]["n"] = users
    changed["daily"] = first_days(changed["daily"], days)
    told = summary(changed)
    assert told[0].startswith(f"Too few to tell: {users} users an arm, {days} days.")
    watch = next(sentence for sentence in told if sentence.startswith("Watch time"))
    assert watch.startswith("Watch time against control: llm (+")
    assert sum("oo few to tell" in sentence for sentence in told) == 1
    assert "detectable from ±" in watch
    assert not any(
        word in " ".join(told) for word in ("higher", "lower", "more under", "fewer under", "no difference d")
    )
    page = write_report(changed, {}, {}, tmp_path).read_text().split('<h2 id="differences">')[1]
    page = page.split("<tbody>")[1].split("</tbody>")[0]
    assert "\N{BLACK UP-POINTING TRIANGLE}" not in page


def test_enough_users_and_days_are_enough(results):
    assert not any("oo few" in sentence for sentence in summary(results))


def test_captions_state_users_diversion_and_what_intervals_mean(results):
    for name in ("figure_4b", "figure_4c", "figure_5", "sequential"):
        caption = captions(results)[name]
        for words in ("400 users per arm", "twins", "95%", "over users and conditional on this one simulated world"):
            assert words in caption


def test_the_table_says_what_survives_the_number_of_metrics_and_what_cuped_changed(results, tmp_path):
    changed = copy.deepcopy(results)
    watch = changed["lifts"]["llm"]["watch_minutes_per_user_day"]
    watch |= {"p": 0.03, "p_adjusted": 0.09, "unadjusted": {"relative": 0.5, "low": 0.4, "high": 0.6, "p": 0.01}}
    changed["sample_ratio"] = {"users": {"control": 100, "llm": 300}, "chi_square": 100.0, "p": 1e-23, "mismatch": True}
    text = page_of(changed, tmp_path, drawn=())
    row = text.split("<strong>Watch time</strong>")[1].split("</tr>")[0]
    assert "\N{WHITE UP-POINTING TRIANGLE}" in row  # by itself, but not among four
    assert "p = 0.030, adjusted = 0.090" in row
    assert "without CUPED +50%" in row
    assert "<strong>Sample ratio mismatch (p = 1e-23)" in text
    assert (
        "\N{BLACK UP-POINTING TRIANGLE}" in page_of(results, tmp_path, drawn=()).split("<strong>Watch time</strong>")[1]
    )
    changed["sample_ratio"] |= {"p": 0.5, "mismatch": False}
    assert "no sample ratio mismatch (chi-square, p = 0.5)" in page_of(changed, tmp_path, drawn=())


def test_missing_arms_are_said_to_be_missing(tmp_path):
    results = planted_results(("control", "llm"))
    text = page_of(results, tmp_path, drawn=(figure_4b,))
    assert "is not available: the reference arm was not run" in text
    assert "no comparison available" in summary(results)[0]
    assert "None" not in text.split('<h2 id="figures">')[1].replace("None recorded", "")


@pytest.mark.parametrize("arms", [("llm",), ("control",), ("bandit", "random")])
def test_any_selection_of_arms_makes_a_page(arms, tmp_path):
    assert '<h2 id="limits">Limits</h2>' in page_of(planted_results(arms), tmp_path)
    assert '<h2 id="limits">Limits</h2>' in write_report(planted_results(arms), {}, {}, tmp_path).read_text()


def test_the_interval_of_a_share_stays_within_what_a_share_can_be():
    metric = next(metric for metric in METRICS if metric.name == "active_user_share")
    text = str(_estimate({"value": 0.99, "low": 0.96, "high": 1.002, "n": 9}, metric))
    assert "[96.0, 100.0]" in text
    assert "[0.0, 2.0]" in str(_estimate({"value": 0.009, "low": -0.002, "high": 0.02, "n": 9}, metric))


def test_the_same_results_give_the_same_page(results, tmp_path):
    a, b = (page_of(results, tmp_path / name, drawn=(figure_4b,)) for name in "ab")
    assert a == b


def text_of(page):
    """What a reader sees of a page but for its settings: no markup, no scripts, no figures' paths."""
    body = page[page.index("<body>") : page.index('<h2 id="setting">')]
    return re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>|<wbr>", "", body, flags=re.DOTALL))


def test_no_key_of_the_results_stands_on_the_page(results, tmp_path):
    kept = json.loads((Path(__file__).parents[1] / "golden/kept/compare.json").read_text())["results.json"]
    llm = {name: kept[name] for name in ("llm", "llm_arms", "costs")}
    text = text_of(page_of({**results, **llm}, tmp_path, drawn=()))
    names = {part for part, _ in flat(llm["llm"])} | {key for row in llm["costs"].values() for key in row}
    keys = {part for name in names for part in name.split(".") if "_" in part}
    assert "held_out_loss" in keys
    assert "tokens_per_pair" in keys
    assert [key for key in sorted(keys) if re.search(rf"\b{re.escape(key)}\b", text)] == []
    assert "recall@10, held-out pairs: step where it is best" in text
    assert "llm: tokens a pair" in text
    assert not re.search(r"\w\.\w+@", text)


def test_definitions_stand_above_the_figures_and_tables_that_use_them_and_settings_come_last(results, tmp_path):
    page = page_of(results, tmp_path, drawn=())
    order = re.findall(r'<h2 id="([^"]+)"', page)
    assert order[:3] == ["summary", "definitions", "figures"]
    assert order[-1] == "setting"
    defined = page[page.index('id="definitions"') : page.index('id="figures"')]
    for metric in METRICS:
        assert f"<dt>{metric.title}</dt>".replace("'", "&#39;") in defined


@pytest.mark.slow
def test_with_many_arms_a_phone_gets_its_own_figures(tmp_path):
    crowd = crowd_of(5)
    drawn = figures_of(crowd), narrow_figures_of(crowd)
    for figures in drawn:
        assert list(figures) == ["figure_4b", "figure_4c", "figure_5", "sequential"]
    assert min(REM_AN_INCH * figure.get_figwidth() for figure in drawn[0].values()) > 40
    assert max(REM_AN_INCH * figure.get_figwidth() for figure in drawn[1].values()) < 25
    page = write_report(crowd, {}, {"figure_4b": drawn[0]["figure_4b"]}, tmp_path).read_text()  # one for all: seconds
    wide, narrow = (re.findall(rf'class="{kind}-only">(<svg.*?</svg>)', page, re.DOTALL) for kind in ("wide", "narrow"))
    assert len(wide) == len(narrow) == 1
    widths = [float(re.search(r"max-width: ([0-9.]+)rem", each[0])[1]) for each in (wide, narrow)]
    assert widths == pytest.approx([REM_AN_INCH * figures["figure_4b"].get_figwidth() for figures in drawn])
    few = page_of(planted_results(), tmp_path, drawn=(figure_5,))
    assert 'narrow-only">' not in few
