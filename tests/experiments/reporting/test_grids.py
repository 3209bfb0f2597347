"""Figures of many arms: a panel for each, on common axes, for a page and for a phone."""

import numpy as np
import pytest
from matplotlib.text import Text

from experiments.reporting.figures.axes import BROAD, NARROW, WIDTH
from experiments.reporting.figures.comparison import figures_of, narrow_figures_of
from experiments.reporting.figures.curves import Curve, limits_of
from experiments.reporting.figures.multiples import BEHIND
from tests.experiments.synthetic import crowd_of, planted_results

COPIES = 8


@pytest.fixture(scope="module")
def crowd():
    return crowd_of(COPIES)


@pytest.fixture(scope="module")
def wide(crowd):
    return figures_of(crowd)


@pytest.fixture(scope="module")
def narrow(crowd):
    return narrow_figures_of(crowd)


@pytest.fixture(scope="module", params=["wide", "narrow"])
def figures(request):
    return request.getfixturevalue(request.param)


def shown(figure):
    return [
        axes for axes in figure.findobj(lambda a: hasattr(a, "get_title") and hasattr(a, "lines")) if axes.get_title()
    ]


def titles(figure):
    return sorted(axes.get_title() for axes in shown(figure))


def test_every_arm_gets_a_panel_in_every_figure(crowd, figures):
    arms = [name for name in crowd["arms"] if name != "control"]
    on_slots = [name for name in arms if name != "bandit"]  # which is the reference there
    assert len(arms) == COPIES + 1
    assert titles(figures["figure_4b"]) == sorted(on_slots)
    assert titles(figures["figure_4c"]) == sorted([*on_slots, "control"])
    assert titles(figures["figure_5"]) == sorted(2 * arms)  # watch time and active users
    assert titles(figures["sequential"]) == sorted(2 * arms + 2 * on_slots)


def test_a_panel_shows_its_own_arm_in_front_of_all_others(crowd, figures):
    for axes in shown(figures["figure_5"]):
        front = max(axes.lines, key=lambda line: line.get_zorder())
        own = crowd["daily"]["arms"][axes.get_title()]
        wanted = [100 * np.array(own[key]["relative"]) for key in ("watch_minutes", "active_users")]
        assert any(np.allclose(front.get_ydata(), series) for series in wanted)
        assert len([line for line in axes.lines if line.get_color() == BEHIND]) == COPIES
        assert len(axes.collections) == 1  # the band of its own arm alone


def test_4b_draws_the_intervals_of_the_panels_own_arm_alone(crowd, figures):
    for axes in shown(figures["figure_4b"]):
        (bars,) = axes.containers
        assert bars.get_label() == axes.get_title()
        lift = crowd["lifts"][axes.get_title()]["novel_impression_ratio_agent_slots"]
        assert bars.lines[0].get_xdata()[0] == pytest.approx(100 * lift["relative"])
        (behind,) = [line for line in axes.lines if line.get_color() == BEHIND]
        assert len(behind.get_xdata()) == COPIES - 1


def test_panels_share_their_axes(figures):
    for name in ("figure_4b", "figure_4c"):
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown(figures[name])}) == 1


def test_a_phones_figures_are_narrow_and_no_text_is_too_small(wide, narrow):
    assert set(narrow) == {name for name, figure in wide.items() if figure.get_figwidth() > WIDTH}
    for figure in narrow.values():
        assert figure.get_figwidth() == NARROW
    # A phone has 361 pixels for a figure; in a column of a page a figure of WIDTH inches has no narrow variant.
    for figure in [*narrow.values(), *(figure for name, figure in wide.items() if name not in narrow)]:
        points = 361 / figure.get_figwidth() / 72
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        assert texts
        assert min(text.get_fontsize() for text in texts) * points > 9
    assert {figure.get_figwidth() for name, figure in wide.items() if name in narrow} == {BROAD}


def test_few_arms_share_their_axes():
    figure = figures_of(planted_results())["figure_5"]
    assert len(figure.axes) == 2
    assert narrow_figures_of(planted_results()) == {}


def test_a_very_wide_band_is_cut_off_and_half_of_them_fit():
    near, far = Curve([1, 2], [0.1, 0.2], [0.05, 0.15], [0.15, 0.25]), Curve([1, 2], [0, 0], [-9, -9], [9, 9])
    low, high = limits_of([near, near, far])
    assert low == pytest.approx(-5)
    assert high == pytest.approx(25)
