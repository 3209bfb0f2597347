"""Figures within a page follow its colours; files of figures keep white ground and black text."""

import re

import pytest

from experiments.reporting.figures.axes import BLACK, GREY, panel, styled
from experiments.reporting.figures.files import image_bytes
from experiments.reporting.figures.inline import inline_svg


@styled
def drawn():
    figure, axes = panel(2.0)
    axes.plot([0, 1], [0, 1], color=BLACK, marker="D", label="reference")
    axes.plot([0, 1], [1, 0], "d", color=GREY, markerfacecolor="white")
    axes.plot([0, 1], [0.5, 0.5], color="#D55E00")
    return figure


@pytest.fixture(scope="module")
def markup():
    return str(inline_svg(drawn(), "some"))


def test_the_ground_is_left_out_of_a_page_and_stands_in_a_file(markup):
    assert not re.search(r"<path [^>]*style=\"fill: #ffffff[^\"]*\"", markup.split("<defs>")[0])
    of_file = image_bytes(drawn(), "svg").decode()
    assert 'style="fill: #ffffff"' in of_file
    assert "light-dark" not in of_file


def test_a_file_and_a_page_share_one_drawing(monkeypatch):
    figure, drawings = drawn(), []
    save = figure.savefig
    monkeypatch.setattr(figure, "savefig", lambda *args, **options: drawings.append(save(*args, **options)))
    of_file, of_page = image_bytes(figure, "svg").decode(), str(inline_svg(figure, "some"))
    assert len(drawings) == 1
    paths = [re.findall(r'd="M[^"]*"', text.replace("\n", " ")) for text in (of_file, of_page)]
    assert len(paths[0]) == len(paths[1]) + 2  # the grounds of the figure and of its panel


def test_every_grey_has_another_one_on_a_dark_page_and_colours_stay(markup):
    for what, colour, after in re.findall(r"(fill|stroke): (#[0-9a-f]{6})([^\"]*)", markup):
        if len({colour[1:3], colour[3:5], colour[5:7]}) == 1:
            assert after.startswith(f"; {what}: light-dark({colour}, #"), colour
        else:
            assert not after.startswith(f"; {what}: light-dark"), colour
    assert "stroke: #000000; stroke: light-dark(#000000, #e7e7e7)" in markup
    assert "fill: light-dark(#ffffff, #181818)" in markup
    assert "stroke: #d55e00" in markup


def test_text_takes_the_colour_of_the_page(markup):
    assert markup.startswith("<svg viewBox=")
    assert ' fill="currentColor">' in markup.split("\n")[0]
    glyphs = re.findall(r"<g ([^>]*)>\s*<use", markup)
    assert glyphs
    assert not any("fill" in each for each in glyphs if "transform" in each)


def test_ids_are_the_figures_own_and_all_references_resolve(markup):
    ids = re.findall(r' id="([^"]+)"', markup)
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(each.startswith("some-") for each in ids)
    assert set(re.findall(r'href="#([^"]+)"', markup)) | set(re.findall(r"url\(#([^)]+)\)", markup)) == set(ids)
    assert not set(ids) & set(re.findall(r' id="([^"]+)"', str(inline_svg(drawn(), "other"))))


def test_the_same_figure_gives_the_same_markup_and_needs_no_network(markup):
    assert str(inline_svg(drawn(), "some")) == markup
    assert "http" not in markup
    assert "<style" not in markup
