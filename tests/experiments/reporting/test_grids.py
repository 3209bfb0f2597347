"""Figures of many arms: one panel each, on common axes."""

import numpy as np
import pytest

from experiments.measures.metrics import ArmRun
from experiments.measures.results import assemble
from experiments.reporting.figures.comparison import figures_of
from experiments.reporting.figures.curves import CROWD
from sim.random import RandomStream
from tests.experiments.synthetic import CONFIG, planted_arms, planted_results


@pytest.fixture(scope="module")
def crowd():
    runs, design = planted_arms(num=200)
    control, bandit, llm, _ = runs
    copies = [ArmRun(f"copy_{k}", llm.log, llm.assigned, llm.dormant, llm.discoveries) for k in range(CROWD)]
    return assemble([control, bandit, *copies], design, CONFIG, {}, RandomStream(1, "results").generator())


def shown(figure):
    return [
        axes for axes in figure.findobj(lambda a: hasattr(a, "get_title") and hasattr(a, "lines")) if axes.get_title()
    ]


def test_many_arms_get_a_panel_each(crowd):
    figures = figures_of(crowd)
    arms = [name for name in crowd["arms"] if name != "control"]
    titles = [axes.get_title() for axes in shown(figures["figure_5"])]
    assert sorted(titles) == sorted(2 * arms)  # watch time and active users
    running = [axes.get_title() for axes in shown(figures["sequential"])]
    on_slots = [name for name in arms if name != "bandit"]  # which is the reference there
    assert sorted(running) == sorted(2 * arms + 2 * on_slots)


def test_a_panel_shows_its_own_arm_in_front_of_all_others(crowd):
    figures = figures_of(crowd)
    for axes in shown(figures["figure_5"]):
        front = max(axes.lines, key=lambda line: line.get_zorder())
        own = crowd["daily"]["arms"][axes.get_title()]
        wanted = [100 * np.array(own[key]["relative"]) for key in ("watch_minutes", "active_users")]
        assert any(np.allclose(front.get_ydata(), series) for series in wanted)


def test_few_arms_share_their_axes():
    figure = figures_of(planted_results())["figure_5"]
    assert len(figure.axes) == 2
