"""When a world reproduces its log, and what is said of constants where it does not."""

import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.fit.constants import check_constants
from experiments.fit.fitting import Fit, Target
from experiments.fit.identification import Identification
from experiments.fit.report import Source, write_fit
from experiments.fit.reproduction import reproduction
from experiments.fit.search import SearchResult
from experiments.fit.statistics import FITTED, STATISTICS
from sim.random import RandomStream
from tests.experiments.fit.planted import dataset_of, seen_of
from tests.experiments.fit.test_direct import world_of
from tests.experiments.fit.test_search import MAPPING

NUM = len(FITTED)
WITHIN = np.resize([1.0, -1.4, 0.3, -0.6], NUM)
EIGHT = np.array([-2.7, 3.1, 4.7, -3.5, 2.9, 3.3, -4.1, 2.8])
"""What was called identified before the world was asked whether it reproduces the log."""


def fit_of(off, errors=(0.2, 0.9, 1.5), worlds=4):
    """A fit whose statistics are ``off`` (K,) standard errors off, with constants of these errors in steps."""
    world = world_of()
    constants = check_constants(MAPPING, None, world)
    logged = {each.name: 1.0 if each.fitted else None for each in STATISTICS}
    scale = np.full(NUM, 0.1)
    target = Target(logged, {name: None if v is None else 0.05 for name, v in logged.items()}, FITTED, np.eye(NUM))
    lives = [logged | dict(zip(FITTED, 1.0 + 0.1 * off, strict=True))] * worlds
    num = len(constants)
    identification = Identification(np.array(errors), np.ones(num), np.ones(num), np.zeros(num, int), np.zeros(num))
    search = SearchResult(np.zeros(num), off, np.zeros((1, NUM, num)), 9, False)
    return Fit(target, scale, world, world, world, constants, search, identification, lives, lives)


@pytest.fixture(autouse=True)
def no_figure(monkeypatch):
    """The files of a figure take longer to draw than all else; that of a fit is looked at in ``test_fit_command``."""
    monkeypatch.setattr("experiments.fit.report.fit_figure", lambda results, phone: Figure(figsize=(1, 1)))


def written(fit, folder):
    """fit.json, and what fit.md, fit.html and the world's file say."""
    columns = {"user": [0, 1], "item": [0, 1], "cluster": [0, 0]}
    seen = seen_of(2, **columns)
    write_fit(fit, Source(dataset_of(seen.log, 2), seen, "greedy", 0, 9, {}), folder)
    page = re.sub(r"<[^>]+>", " ", (folder / "fit.html").read_text().replace("<wbr>", ""))
    texts = [(folder / "fit.md").read_text(), page]
    return json.loads((folder / "fit.json").read_text()), texts, (folder / "world" / "fitted.yaml").read_text()


def identified(results):
    return [row["identified"] for row in results["constants"].values()]


def test_where_all_statistics_are_within_chance_constants_of_small_errors_are_identified(tmp_path):
    results, texts, world = written(fit_of(WITHIN), tmp_path)
    assert identified(results) == [True, True, False]
    assert results["reproduction"] | {"farthest": 0, "farthest_by_chance": 0} == {
        "statistics": NUM, "worlds": 4, "differing": 0, "by_chance": 4, "farthest": 0, "farthest_by_chance": 0,
        "enough_worlds": True, "reproduced": True,
    }  # fmt: skip
    for text in texts:
        assert f"The world reproduces the log: of {NUM} fitted statistics none differ by more than 2" in text
        assert "Not identified by this log" in text
    assert "# Not identified: dynamics.return_slope.\n" in world


def test_eight_of_nineteen_beyond_chance_leave_no_constant_identified_and_the_page_says_so(tmp_path):
    off = WITHIN.copy()
    off[:8] = EIGHT
    results, texts, world = written(fit_of(off), tmp_path)
    assert identified(results) == [False] * 3
    assert [row["precise"] for row in results["constants"].values()] == [True, True, False]
    assert (results["reproduction"]["differing"], results["reproduction"]["reproduced"]) == (8, False)
    for text in texts:
        assert "The world does not reproduce the log: of 19 fitted statistics 8 differ by more than 2 stand" in text
        assert " standard errors, and chance would let up to 4 differ: " in text
        assert "No constant is identified" in text
        assert text.count("no; precise, but the world does not reproduce the log") == 2
        assert "are identified" not in text
    assert "# Not identified: response.intercept, response.watch_log_mean, dynamics.return_slope.\n" in world
    assert "# The world does not reproduce the log: " in world


def test_one_of_nineteen_a_little_far_off_is_chance(tmp_path):
    off = WITHIN.copy()
    off[7] = -3.2
    results, texts, _ = written(fit_of(off, (0.2, 0.9, 0.5)), tmp_path)
    assert identified(results) == [True] * 3
    for text in texts:
        assert "of 19 fitted statistics 1 differs by more than 2" in text
        assert "All constants that were searched for are identified" in text


def test_one_that_is_farther_off_than_any_chance_is_enough(tmp_path):
    off = WITHIN.copy()
    off[7] = 20.0
    results, texts, _ = written(fit_of(off), tmp_path)
    assert identified(results) == [False] * 3
    assert all("up to 4 differ, though none by more than 12.7" in text for text in texts)


def test_two_worlds_are_too_few(tmp_path):
    results, texts, _ = written(fit_of(WITHIN, worlds=2), tmp_path)
    assert identified(results) == [False] * 3
    assert not results["reproduction"]["enough_worlds"]
    for text in texts:
        assert (
            "Too few worlds to tell whether the world reproduces the log (2 were simulated, at least 3 are needed)"
            in text
        )
        assert "no; precise, but the world is not known to reproduce the log" in text


def test_more_may_differ_where_the_spread_is_of_few_worlds():
    allowed = {worlds: reproduction(np.zeros((worlds, NUM))).by_chance for worlds in (3, 4, 8, 100)}
    assert allowed == {3: 5, 4: 4, 8: 3, 100: 3}
    assert reproduction(np.zeros((100, 1))).by_chance == 0


@pytest.mark.parametrize("worlds", [3, 4, 8])
def test_worlds_of_the_logs_own_constants_are_refused_no_more_often_than_stated(worlds):
    rng = RandomStream(worlds, "chance").generator()
    tries = 2000
    lives = rng.standard_normal((tries, worlds, NUM))  # errors of users 0: worlds differ by nothing but themselves
    spread = np.sqrt(2) * lives.std(axis=1, ddof=1, keepdims=True)
    off = (lives - rng.standard_normal((tries, 1, NUM))) / spread
    refused = sum(not reproduction(each).reproduced for each in off)
    assert 0.005 <= refused / tries <= 0.065  # 5 % by the count and 1 % by the largest, at most
