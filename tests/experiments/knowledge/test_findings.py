"""The findings of the knowledge test: what they call a difference holds after adjustment over all of them."""

import pytest

from experiments.knowledge.contestants import CONTESTANTS, LLM
from experiments.knowledge.measures import MEASURES
from experiments.knowledge.outcome import CHANCE, SAME_MODEL
from experiments.knowledge.page import findings


def gap(value, half, n=400):
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def world(**gaps):
    """A world without training in which the language model differs from others as given, and else not at all."""
    others = [name for name in (*CONTESTANTS, CHANCE, SAME_MODEL) if name != LLM]
    return {
        "facts": {},
        "contestants": {LLM: dict.fromkeys(MEASURES, gap(0.6, 0.02))},
        "differences": {name: dict.fromkeys(MEASURES, gaps.get(name, gap(0.0, 0.1))) for name in others},
        "training": [],
    }


def of(lines, rival):
    (line,) = [line for line in lines if f"against {rival}:" in line]
    return line


def test_what_one_interval_alone_says_does_not_survive_five_comparisons():
    # 2.2 standard errors: p = .028 by itself, .14 as the smallest of five
    lines = findings({"1": world(svd=gap(0.11, 0.098))})
    assert of(lines, "svd").startswith(
        "alpha=1: no difference seen after adjustment, above by its own interval alone, against svd: +0.110"
    )
    # 5 standard errors: p = 6e-7, whatever the number of comparisons
    assert of(findings({"1": world(svd=gap(0.25, 0.098))}), "svd").startswith("alpha=1: above against svd")


@pytest.mark.parametrize(
    ("half", "adjusted"), [(0.078, "alpha=1: above against svd"), (0.082, "no difference seen after")]
)
def test_the_family_is_all_comparisons_in_all_worlds(half, adjusted):
    # .11 / (half / 1.96): z = 2.91, 2.76, 2.63 for halves of .074, .078, .082, p = .0036, .0057, .0086.
    # The smallest of five, times five: .029, .043 for the last two; of ten, times ten: .036, .057 for the first two.
    one = findings({"1": world(svd=gap(0.11, half))})
    assert "alpha=1: above against svd" in of(one, "svd")
    two = findings({"1": world(svd=gap(0.11, half - 0.004)), "0": world()})
    line = next(line for line in two if line.startswith("alpha=1") and "against svd" in line)
    assert adjusted in line


def test_with_labels_permuted_no_edge_after_adjustment_is_as_it_must_be():
    worlds = {"1": world(), "0": world(llm_random_weights=gap(0.11, 0.098))}
    assert findings(worlds)[-1].endswith(
        "(no difference seen after adjustment, above by its own interval alone), as it must be."
    )
    leak = {"1": world(), "0": world(llm_random_weights=gap(0.25, 0.098))}
    assert "look for a leak" in findings(leak)[-1]
