"""The speed of the language model's table: rows that add up, on few clusters."""

import json

import pytest

from experiments.benchmark import command, llm, llm_training
from experiments.benchmark.llm import authored_clusters
from sim.errors import InvalidInput
from tests.composing import compose


@pytest.mark.slow
def test_bulk_inference_is_timed_with_generation_and_its_bound(shared_cache, tmp_path, monkeypatch):
    """With the real model: of a small one the products are too quick to be a bound."""
    monkeypatch.setattr(llm, "ROUNDS", 2)  # of 5
    monkeypatch.setattr(llm_training, "training_rows", lambda *_: [])  # has tests of its own, with a small model
    words = ["interests=40", "llm.num_keywords=1", "training_steps=1", f"cache_dir={shared_cache}"]
    command.run(compose("benchmark_llm", words), tmp_path, ["llm"])
    rows = {row["case"].split(" (")[0]: row for row in json.loads((tmp_path / "benchmark.json").read_text())["rows"]}
    plain, bulk = rows["plain generation"], rows["bulk inference"]
    assert bulk["ratio"] == pytest.approx(bulk["value"] / plain["value"])
    assert bulk["value"] > plain["value"]
    assert bulk["of_bound"] == pytest.approx(bulk["value"] / bulk["bound"])
    # The products of 40 clusters' tokens cannot be quicker than those of a block made to be quick.
    assert bulk["of_bound"] < 1.1
    hours = rows["a table of 1,600 pairs, one thread"]["value"]
    assert hours == pytest.approx(1600 / bulk["value"] / 3600)


@pytest.mark.parametrize(
    ("number", "says"), [("31", "at least 32"), ("762", "from 3 to 761"), ("many", "from 3 to 761")]
)
def test_clusters_that_there_are_not(number, says, shared_cache, tmp_path):
    with pytest.raises(InvalidInput, match=f"^interests=.*{says}"):
        command.run(compose("benchmark_llm", [f"interests={number}", f"cache_dir={shared_cache}"]), tmp_path, ["llm"])


def test_authored_clusters_have_the_interests_keywords():
    clusters = authored_clusters(761)
    assert clusters.num_clusters == 761
    assert len({words[0] for words in clusters.keywords}) > 700
    assert all(words for words in clusters.keywords)
