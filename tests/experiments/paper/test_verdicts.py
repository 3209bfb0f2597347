"""Fewer worlds than tell anything: no verdict but that, with the smallest effect that could have been seen."""

from dataclasses import replace

import pytest

from experiments.paper.controls import controls, same_twice, splits, what_language_adds
from experiments.paper.language_model import c5, c6, c7, c8
from experiments.paper.live import c1, c2, c3, c4
from experiments.paper.verdicts import (
    HOLDS,
    NOT_RUN,
    OPEN,
    TOO_FEW,
    Stated,
    above,
    band_together,
    gone,
    if_enough,
    smallest,
    together,
)
from experiments.several.bands import curve_over_worlds
from experiments.several.worlds import estimate
from tests.experiments.paper.planted import labels, plant, variants_of

STATED = Stated("C0", "claim", "paper", "criterion")
SAID = "2 worlds, and 3 are the fewest that tell. The smallest effect that could have been seen is ±"


def first(variants, worlds):
    """The same variants in their first worlds only."""
    return {
        name: replace(of, seeds=of.seeds[:worlds], each=of.each[:worlds], folders=of.folders[:worlds])
        for name, of in variants.items()
    }


def test_an_interval_among_many_is_wider_by_bonferronis_quantile():
    one = estimate([0.1, 0.2, 0.3])
    assert together(one, 1) == (one.low, one.high)
    low, high = together(one, 5)
    assert (low + high) / 2 == pytest.approx(0.2)
    assert high - 0.2 == pytest.approx(9.9248 * 0.1 / 3**0.5, rel=1e-4)  # t(.995, 2) = 9.9248
    assert above(estimate([0.1, 0.2, 0.3]), -0.1) == HOLDS
    assert above(estimate([0.1, 0.2, 0.3]), -0.1, 5) == OPEN
    assert gone(estimate([-0.3, -0.2, -0.1]), 0.1) == HOLDS
    assert gone(estimate([-0.3, -0.2, -0.1]), 0.1, 5) == OPEN
    assert together(estimate([0.1]), 5) == (None, None)


def test_a_band_among_many_holds_at_all_places_of_all():
    curve = curve_over_worlds([1, 2], [[0.1, 1.0], [0.2, 1.1], [0.3, 1.2]])
    assert band_together(curve, 1) == (curve.low, curve.high)
    low, high = band_together(curve, 5)
    # two places of five claims: t(1 - .025 / 10, 2) = 14.089
    assert high[0] - 0.2 == pytest.approx(14.0890 * 0.1 / 3**0.5, rel=1e-4)
    assert low[1] == pytest.approx(1.1 - 14.0890 * 0.1 / 3**0.5, rel=1e-4)


@pytest.mark.parametrize("verdict", [HOLDS, OPEN])
def test_two_worlds_are_too_few_and_say_what_they_could_have_seen(verdict):
    found = estimate([0.1, 0.2])  # +- t(.975, 1) x .05 = 12.706 x .05
    claim = STATED.judged(found, "% to hcb", verdict, "Seen.")
    assert claim.verdict == TOO_FEW
    assert claim.why == f"{SAID}63.5% to hcb. Seen."
    assert (claim.here, claim.high - claim.here) == (pytest.approx(15), pytest.approx(63.531, abs=1e-3))


def test_three_worlds_are_judged():
    claim = STATED.judged(estimate([0.1, 0.2, 0.3]), "% to hcb", OPEN, "Seen.")
    assert (claim.verdict, claim.why) == (OPEN, "Seen.")


def test_what_was_not_run_stays_so_however_few_the_worlds():
    assert if_enough(1, NOT_RUN, "Why.") == (NOT_RUN, "Why.")


def test_one_world_has_no_interval_and_worlds_that_are_alike_have_one_that_says_nothing():
    assert "1 world, and 3 are" in STATED.judged(estimate([0.1]), "%", OPEN, "").why
    assert "no effect could have been seen" in STATED.judged(estimate([0.1]), "%", OPEN, "").why
    assert "alike" in STATED.judged(estimate([0.1, 0.1]), "%", HOLDS, "").why
    assert smallest(0.25, "points of Gini less").endswith("±0.25 points of Gini less.")


def test_every_claim_of_two_worlds_is_too_few_and_of_three_is_judged(tmp_path):
    variants = variants_of(tmp_path)
    plant(variants["main"], "llm", "novel_impression_ratio_agent_slots", 0.9)
    plant(variants["a_a"], "random_novel_again", "watch_minutes_per_user_day", 0.0, 0.01)
    for number, results in enumerate(variants["main"].each):
        results["uci"]["llm"]["lift"] = [0.2 + 0.001 * number] * 40
    for number, results in enumerate(variants["curation"].each):
        results["llm_arms"]["llm"] |= labels([96 + number] * 96 + [number])
    two, three = first(variants, 2), first(variants, 3)
    judged = (c1, c2, c3, c4, c5, c6, c7)
    assert {claim(two).verdict for claim in judged} == {TOO_FEW}
    assert TOO_FEW not in {claim(three).verdict for claim in judged}
    for claim in (c1(two), c4(two)):
        assert claim.why.startswith("2 worlds, and 3 are the fewest that tell.")
    assert c1(two).why.startswith(SAID)
    # Bonferroni's over 40 N: t(1 - .05 / 80, 1) = 509, times .0005
    assert c3(two).why.startswith(f"{SAID}25.5% at every N.")
    assert "no effect could have been seen" in c3(first(variants, 1)).why
    assert same_twice(two["a_a"]).verdict == TOO_FEW
    rows = controls(two) + what_language_adds(two)
    assert {row.verdict for row in rows if row.id != "A/A, splits"} == {TOO_FEW}
    assert TOO_FEW not in {row.verdict for row in controls(three) + what_language_adds(three)}


def test_what_is_not_over_worlds_is_judged_all_the_same(tmp_path):
    two = first(variants_of(tmp_path), 2)
    assert splits(two["main"]).verdict != TOO_FEW
    assert c8(two).verdict == "see timings.json"
