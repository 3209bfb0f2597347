"""Every entry of the results that a page shows has words."""

import json
from pathlib import Path

import pytest
import yaml

from experiments.reporting.words import SETTINGS, in_words, setting_in_words, worded
from experiments.study.described import flat

KEPT = Path(__file__).parents[2] / "golden" / "kept"


def kept(name, file):
    return json.loads((KEPT / f"{name}.json").read_text())[file]


def names():
    results = kept("compare", "results.json")
    yield from (name for name, _ in flat(results["llm"]))
    yield from (name for row in results["llm"]["curve"] for name, _ in flat(row))
    yield from results["llm"]["label_skew"]
    yield from (name for name, _ in flat(results["costs"]))
    for world in kept("knowledge", "knowledge.json")["worlds"].values():
        yield from (name for row in [*world["facts"]["folds"], *world["training"]] for name in row)


def test_no_name_of_an_entry_is_shown_as_it_is():
    shown = {name: in_words(name) for name in names() if name not in ("curve", "label_counts")}
    assert len(shown) > 40
    assert [name for name, words in shown.items() if "_" in words or "." in words] == []
    same = {name for name, words in shown.items() if words == name}
    assert same <= {"step", "steps", "questions", "fold"}  # which are words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peaks.held_out.recall@1.step", "recall@1, held-out pairs: step where it is best"),
        ("peaks.match_rate.value", "match rate: best value"),
        ("later_days.recall@10", "recall@10, later days"),
        ("validation_recall@10", "recall@10, validation pairs"),
        ("llm.tokens_per_pair", "llm: tokens a pair"),
        ("curation.mode", "curation"),
        ("top_1_percent_share", "pairs with the most frequent hundredth of labels (share)"),
    ],
)
def test_entries_in_words(name, words):
    assert in_words(name) == words


def test_a_nested_record_becomes_flat():
    assert worded({"step": 3, "held_out": {"recall@1": 0.5}}) == {"step": 3, "recall@1, held-out pairs": 0.5}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("llm.steps", "fine-tuning steps"),
        ("agents.hcb.planner.alpha", "alpha (hcb)"),
        ("world.response.satiation_weight", "satiation weight"),
        ("seed", "seed"),
    ],
)
def test_an_entry_of_the_config_is_called_by_words(entry, words):
    assert setting_in_words(entry) == words


def test_every_setting_that_a_sweep_varies_has_words():
    entries = set()
    for path in Path(__file__).parents[3].glob("conf/sweep/*.yaml"):
        entries |= set(yaml.safe_load(path.read_text())["hydra"]["sweeper"]["params"])
    assert {entry for entry in entries if "@" not in entry and entry != "seed"} == set(SETTINGS)
