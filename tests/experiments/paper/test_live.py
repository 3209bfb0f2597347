"""C1 to C4 on planted worlds: each holds, does not hold, and is not told apart."""

import pytest

from experiments.paper.live import c1, c2, c3, c4, papers_range
from experiments.paper.verdicts import FAILS, HOLDS, NOT_RUN, OPEN
from tests.experiments.paper.planted import plant, spread, variants_of, worlds_of

NOVELTY, FEEDBACK = "novel_impression_ratio_agent_slots", "positive_rate_agent_slots"
WATCH, ACTIVE = "watch_minutes_per_user_day", "active_user_share"


@pytest.mark.parametrize(("lift", "reach", "verdict"), [(0.3, 0.05, HOLDS), (-0.3, 0.05, FAILS), (0.02, 0.1, OPEN)])
def test_c1(lift, reach, verdict):
    variants = variants_of()
    plant(variants["main"], "llm", NOVELTY, lift, reach)
    claim = c1(variants)
    assert claim.verdict == verdict
    assert claim.here == pytest.approx(100 * lift)
    assert claim.low < claim.here < claim.high
    assert "random_novel" in claim.why


def test_c1_does_not_hold_by_the_filter_alone():
    """Planners of novel clusters beat whoever may show what is known; the LLM must beat the others of its kind too."""
    variants = variants_of()
    plant(variants["main"], "llm", NOVELTY, 0.9)
    plant(variants["main"], "random_novel", NOVELTY, 0.9)
    claim = c1(variants)
    assert claim.verdict == OPEN
    assert "beaten by the filter alone: random_novel has it too" in claim.why
    plant(variants["main"], "random_novel", NOVELTY, 0.3)
    assert c1(variants).verdict == HOLDS
    assert "filter" not in c1(variants).why
    plant(variants["main"], "random_novel", NOVELTY, 1.5)
    assert c1(variants).verdict == FAILS


def test_c3_tells_what_the_filter_does_alone():
    variants = variants_of()
    plant_uci(variants["main"], lambda n: 0.2)
    assert "random_novel, which has the same filter, is above 0 at 0%." in c3(variants).why


def test_c1_needs_every_baseline_beaten():
    variants = variants_of()
    plant(variants["main"], "llm", NOVELTY, 0.3)
    plant(variants["main"], "novelty", NOVELTY, 0.3)
    assert c1(variants).verdict == OPEN
    plant(variants["main"], "novelty", NOVELTY, 0.9)
    assert c1(variants).verdict == FAILS


@pytest.mark.parametrize(
    ("llm", "two_tower", "verdict"),
    [
        (0.2, 0.2, HOLDS),  # above hcb and novelty, level with the two towers
        (0.2, 0.27, HOLDS),  # 5 % below the two towers is comparable
        (0.2, 0.6, FAILS),  # 25 % below is not
        (-0.2, -0.2, FAILS),  # below exploration
        (0.0, 0.0, OPEN),
    ],
)
def test_c2(llm, two_tower, verdict):
    variants = variants_of()
    plant(variants["main"], "llm", FEEDBACK, llm)
    plant(variants["main"], "two_tower", FEEDBACK, two_tower)
    assert c2(variants).verdict == verdict


def plant_uci(worlds, lift_of):
    for results, shift in zip(worlds.each, spread(0.0, 0.02, len(worlds.each)), strict=True):
        curve = results["uci"]["llm"]
        curve["lift"] = [lift_of(n) + shift for n in curve["n"]]


@pytest.mark.parametrize(
    ("lift_of", "verdict", "share"),
    [
        (lambda n: 0.2, HOLDS, 100),
        (lambda n: -0.2, FAILS, 0),
        (lambda n: 0.0, OPEN, 0),
        (lambda n: 0.2 if n <= 15 else 0.0, HOLDS, 100 * 13 / 23),
        (lambda n: 0.2 if n <= 15 else -0.2, OPEN, 100 * 13 / 23),  # up here, down there
        (lambda n: 0.2 if n > 25 else 0.0, OPEN, 0),  # up only beyond the paper's range
    ],
)
def test_c3(lift_of, verdict, share):
    variants = variants_of()
    plant_uci(variants["main"], lift_of)
    claim = c3(variants)
    assert claim.verdict == verdict
    assert claim.here == pytest.approx(share)


def test_the_papers_range_is_a_share_of_the_clusters():
    assert papers_range(761) == (20, 200)
    assert papers_range(96) == (3, 25)


def test_c3_leaves_out_n_that_a_world_does_not_show():
    variants = variants_of()
    plant_uci(variants["main"], lambda n: 0.2)
    curve = variants["main"].each[2]["uci"]["llm"]
    for part in ("n", "lift", "low", "high"):
        curve[part] = curve[part][:10]
    assert c3(variants).why.startswith("Of N = 3 to 10 ")
    for part in ("n", "lift", "low", "high"):
        curve[part] = curve[part][:2]
    assert c3(variants).verdict == NOT_RUN


def plant_days(worlds, slope):
    for results, shift in zip(worlds.each, spread(0.0, 0.001, len(worlds.each)), strict=True):
        days = results["daily"]["day"]
        results["daily"]["arms"]["llm"]["watch_minutes"]["relative"] = [(slope + shift) * day for day in days]


@pytest.mark.parametrize(
    ("watch", "active", "slope", "verdict"),
    [
        (0.1, 0.1, 0.0, HOLDS),
        (0.1, 0.1, 0.02, HOLDS),
        (0.1, 0.1, -0.02, FAILS),  # up, but fading
        (-0.1, 0.1, 0.0, FAILS),
        (0.1, 0.0, 0.0, OPEN),
    ],
)
def test_c4(watch, active, slope, verdict):
    variants = variants_of()
    plant(variants["main"], "llm", WATCH, watch)
    plant(variants["main"], "llm", ACTIVE, active)
    plant_days(variants["main"], slope)
    claim = c4(variants)
    assert claim.verdict == verdict
    assert claim.here == pytest.approx(100 * watch)
    assert f"watch time {100 * slope:+z.2f} points".replace("-", "\N{MINUS SIGN}") in claim.why


@pytest.mark.parametrize("claim", [c1, c2, c3, c4])
def test_what_was_not_run_is_said_to_be_not_run(claim):
    found = claim({"main": worlds_of(("control", "random_novel"))})
    assert found.verdict == NOT_RUN
    assert found.here is None
