"""C5 to C8 on planted curves and tables: each holds, does not hold, and is not told apart."""

import pytest

from experiments.paper.language_model import c5, c6, c7, c8
from experiments.paper.speed import Speed
from experiments.paper.verdicts import FAILS, HOLDS, NOT_RUN, OPEN
from tests.experiments.paper.planted import CLUSTERS, labels, tuned, variants_of, worlds_of

FIRST, LATE, NEVER = [0.0, 1.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.5, 0.9]


def tune(worlds, *curves):
    for place, results in enumerate(worlds.each):
        results["llm_arms"]["llm"] = tuned(*curves[place % len(curves)])


@pytest.mark.parametrize(
    ("matches", "verdict"),
    [((FIRST,), HOLDS), ((LATE,), FAILS), ((NEVER,), FAILS), ((FIRST, LATE), OPEN), ((FIRST, NEVER), OPEN)],
)
def test_c5(matches, verdict):
    variants = variants_of()
    tune(variants["main"], *[(match, [0.1, 0.3, 0.2], [0.1, 0.5, 0.9]) for match in matches])
    claim = c5(variants)
    assert claim.verdict == verdict
    assert "points at steps 0, 25, 50" in claim.why


def recalls(held_out, seen, shake=0.01):
    """Two worlds' curves around the given ones."""
    return [(FIRST, [h + s for h in held_out], [r + s for r in seen]) for s in (-shake, shake)]


@pytest.mark.parametrize(
    ("held_out", "seen", "verdict"),
    [
        ([0.1, 0.4, 0.2], [0.1, 0.6, 0.9], HOLDS),
        ([0.1, 0.2, 0.4], [0.1, 0.6, 0.9], OPEN),  # still rising at the end: no fall was seen
        ([0.1, 0.4, 0.2], [0.0, 0.1, 0.1], FAILS),  # above the fine-tuning set
        ([0.4, 0.2, 0.1], [0.4, 0.6, 0.9], OPEN),  # never rises: rise 0, exactly
    ],
)
def test_c6(held_out, seen, verdict):
    variants = variants_of()
    tune(variants["main"], *recalls(held_out, seen))
    assert c6(variants).verdict == verdict


def test_c6_is_not_told_apart_where_worlds_disagree():
    variants = variants_of()
    up, down = (FIRST, [0.1, 0.6, 0.1], [0.1, 0.5, 0.9]), (FIRST, [0.4, 0.1, 0.5], [0.1, 0.5, 0.9])
    tune(variants["main"], up, down)
    assert c6(variants).verdict == OPEN


def skewed(extra):
    """Labels of which the first takes ``extra`` pairs from as many others."""
    return [CLUSTERS + extra, *[CLUSTERS] * (CLUSTERS - 1 - extra // CLUSTERS), *[0] * (extra // CLUSTERS)]


@pytest.mark.parametrize(
    ("diversified", "random", "verdict"),
    [
        (skewed(960), skewed(4800), HOLDS),
        (skewed(4800), skewed(960), FAILS),
        (skewed(960), skewed(960), OPEN),
    ],
)
def test_c7(diversified, random, verdict):
    variants = variants_of()
    for shift, results in enumerate(variants["curation"].each):
        results["llm_arms"]["llm"] |= labels([*diversified, shift])
        results["llm_arms"]["llm_random_curation"] |= labels([*random, 2 * shift])
    claim = c7(variants)
    assert claim.verdict == verdict
    assert (claim.here > 0) == (verdict == HOLDS)


def test_c8_in_the_results_holds_no_time():
    claim = c8(variants_of())
    assert claim.here is None
    assert claim.verdict == "see timings.json"
    assert f"{CLUSTERS**2:,} pairs" in claim.why


@pytest.mark.parametrize(("rate", "hours", "verdict"), [(100.0, 0.804, HOLDS), (10.0, 8.04, FAILS)])
def test_c8_by_the_clock(rate, hours, verdict):
    claim = Speed(rate, 96, 2, 0.1, 0.2).claim()
    assert claim.here == pytest.approx(hours, rel=1e-3)
    assert claim.verdict == verdict
    assert "more with 761 labels" in claim.why
    assert Speed(None, 96, 2, 0.1, 0.2).claim().verdict == NOT_RUN


@pytest.mark.parametrize("claim", [c5, c6, c7, c8])
def test_what_was_not_run_is_said_to_be_not_run(claim):
    worlds = worlds_of(("control", "hcb"))
    for results in worlds.each:
        del results["llm_arms"], results["costs"]
    assert claim({"main": worlds}).verdict == NOT_RUN


@pytest.mark.parametrize("claim", [c5, c6])
def test_without_fine_tuning_there_is_no_curve_to_judge(claim):
    variants = variants_of()
    tune(variants["main"], ([0.0], [0.1], [0.1]))  # the point before the first step, which llm.steps=0 leaves
    assert claim(variants).verdict == NOT_RUN
