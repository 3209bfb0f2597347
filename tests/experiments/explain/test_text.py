"""An explanation as text, of planted columns: every line by hand."""

import copy

import pytest

from experiments.explain.search import BY_SEARCH, BY_TERM
from experiments.explain.text import as_text

PERSONAS = {"interest": "baking", "share_of_items": 0.75, "personas": ["new parent", "night owl"]}


def row(called, probability, by_probability, first=False, second=False):
    shares = {"first": first, "second": second}
    ranks = {"probability": probability, "rank_by_probability": by_probability}
    return {"called": called, **ranks, "shares_persona_with": shares}


@pytest.fixture
def explanation():
    long = "a name that goes on for far longer than any column of the table is wide, whatever the terminal"
    return {
        "pair": [
            {"text": "tea", "cluster": 3, "keywords": ["tea", "kettle"], "found_by": "its keywords", "truth": PERSONAS},
            {
                "text": "long walks", "cluster": 11, "keywords": ["walk"], "found_by": "search",
                "truth": {"interest": "hiking", "share_of_items": 1.0, "personas": []},
            },
        ],
        "prompt": {"tokens": [1, 2, 3], "text": "first line\nsecond line"},
        "num_candidates": 22,
        "columns": [
            {
                "title": "model", "order": "log p - its mean", "sharing": {"one_or_both": 2, "both": 1},
                "best": [row("bread", 0.25, 2, True, True), row(long, 0.5, 1, True)],
            },
            {
                "title": "counts", "order": "p", "sharing": {"one_or_both": 0, "both": 0},
                "best": [row("bread", 0.4, 1), row("jam", 0.1, 2)],
            },
        ],
        "chance": {"one_or_both": 0.72, "both": 0.04},
        "fine_tuning": {"random_weights": False, "best_step": 40, "steps": 60},
    }  # fmt: skip


def test_a_weak_match_says_so(explanation):
    first, second = explanation["pair"]
    second |= {"found_by": BY_TERM, "text": "the trail shoes"}
    weak = "Weak match: no keyword of cluster 11 has a word of 'the trail shoes'; some titles or hashtags have."
    assert as_text(explanation, 120).splitlines()[2:4] == [weak, ""]
    second["keywords"] = ["walk", "Trail running"]
    assert "Weak match" not in as_text(explanation, 120)
    first |= {"found_by": BY_SEARCH, "missing_words": ["green", "cup"]}
    weak = "Weak match: no title, hashtag or keyword of cluster 3 has 'green' or 'cup'."
    assert as_text(explanation, 120).splitlines()[2:4] == [weak, ""]


def test_every_part_says_what_was_planted(explanation):
    lines = as_text(explanation, 120).splitlines()
    assert lines[0] == "'tea'        was taken for cluster 3: tea, kettle (found by its keywords)"
    assert lines[1] == "'long walks' was taken for cluster 11: walk (found by search)"
    assert lines[3] == "The prompt, word for word (3 tokens):"
    assert lines[5:7] == ["  | first line", "  | second line"]
    assert lines[8] == "The best of the 22 other clusters, p = probability as the next interest."
    assert lines[9] == "model: in the order of log p - its mean (by p = rank by p alone)."
    assert lines[10] == "counts: in the order of p."
    tuned = "Fine-tuned: from the zero-shot LLM, on the burn-in's novel transitions; step 40 of 60."
    assert lines[11] == tuned
    assert lines[-2] == "Cluster 3 is 'baking' to 75%; personas: new parent, night owl"
    assert lines[-1] == "Cluster 11 is 'hiking' to 100%; personas: none"


def test_the_table_has_marks_names_probabilities_and_ranks(explanation):
    head, first, second = as_text(explanation, 120).splitlines()[13:16]
    assert head.split() == ["#", "model", "p", "by", "p", "counts", "p"]
    assert first.split() == ["1", "**", "bread", "0.2500", "2", "bread", "0.4000"]
    assert second.split()[:2] == ["2", "*"]
    assert "a name that goes on" in second
    assert ".. 0.5000    1" in second  # cut, where the column ends
    assert second.split()[-2:] == ["jam", "0.1000"]
    ends = [line.index("p", line.index("counts")) + 1 for line in (head,)]
    assert {len(first), len(second), *ends} == {len(first)}  # numbers stand under their head


def test_shares_of_the_truth_are_given_with_chance(explanation):
    lines = as_text(explanation, 120).splitlines()
    either = next(line for line in lines if line.startswith("share a persona with one or both"))
    both = next(line for line in lines if line.startswith("share a persona with both"))
    assert either.split()[-9:] == ["2", "of", "2", "0", "of", "2", "0.7", "of", "2"]
    assert both.split()[-9:] == ["1", "of", "2", "0", "of", "2", "0.0", "of", "2"]


def test_orders_that_columns_share_are_said_once(explanation):
    alike = copy.deepcopy(explanation)
    alike["columns"][1]["order"] = "log p - its mean"
    lines = as_text(alike, 120).splitlines()
    assert lines[9] == "model and counts: in the order of log p - its mean (by p = rank by p alone)."
    assert lines[10].startswith("Fine-tuned")
    alike["fine_tuning"]["random_weights"] = True
    assert "Fine-tuned: from random weights, on" in as_text(alike, 120)


@pytest.mark.parametrize("width", [40, 100])
def test_a_narrow_terminal_gets_the_narrowest_table(explanation, width):
    assert as_text(explanation, width) == as_text(explanation, 100)
