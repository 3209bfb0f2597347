"""``interestlab paper`` from beginning to end, with a language model of one layer."""

import json

import pytest
from filelock import FileLock

from experiments.paper.command import paper
from experiments.several.runs import alone_in
from sim.errors import InvalidInput
from tests.composing import compose

SMALLEST = (
    "world=tiny", "llm=tiny", "paper.seeds=[0,1]", "experiment.burn_in_days=3", "experiment.days=2", "llm.steps=2",
    "llm.eval_every=1", "llm.eval_pairs=4", "llm.precision=fp32", "llm.threads=1", "production.epochs=1",
    "world.num_users=60", "world.num_items=400", "runtime.workers=1",
    "~paper.variants.twin", "~paper.variants.curation",
    "paper.variants.main={experiment.arms: [control, random_novel, llm]}", "experiment.reference=random_novel",
    "paper.variants.no_dormant_no_satiation={experiment.arms: [control, random_novel]}",
    "paper.variants.alpha_0.worlds=1", "paper.variants.no_dormant_no_satiation.worlds=1",
)  # fmt: skip
"""Two variants that the case ``paper`` of ``tests/golden`` leaves out, next to main and a_a."""


@pytest.fixture(scope="module")
def finished(model, shared_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    config = compose("paper", [*SMALLEST, f"llm.model={model}", f"cache_dir={shared_cache}"])
    return folder, config, paper(config, folder)


@pytest.mark.slow
def test_one_command_leaves_the_page_the_claims_and_every_comparison(golden):
    folder = golden("paper")
    assert (folder / "report.html").is_file()
    results = json.loads((folder / "results.json").read_text())
    assert [claim["id"] for claim in results["claims"]] == [f"C{number}" for number in range(1, 9)]
    assert all(claim["verdict"] for claim in results["claims"])
    assert set(results["variants"]) == {"main", "twin", "a_a", "curation"}
    for variant in results["variants"]:
        assert (folder / variant / "seed_0" / "done").is_file()
    for figure in ("figure_3", "figure_4a", "figure_4b", "figure_4c", "figure_5"):
        assert (folder / "figures" / f"{figure}.pdf").stat().st_size > 1000


@pytest.mark.slow
def test_a_second_run_repeats_nothing_and_a_lost_comparison_comes_back_byte_for_byte(finished):
    folder, config, page = finished
    assert page == folder / "report.html"
    last = {"main": "seed_1", "alpha_0": "seed_0", "no_dormant_no_satiation": "seed_0", "a_a": "seed_1"}
    before = {name: (folder / name / seed / "results.json").stat().st_mtime_ns for name, seed in last.items()}
    results = (folder / "results.json").read_bytes()
    assert set(json.loads(results)["variants"]) == set(last)
    lost = (folder / "a_a" / "seed_1" / "results.json").read_bytes()
    (folder / "a_a" / "seed_1" / "done").unlink()
    (folder / "a_a" / "seed_1" / "results.json").unlink()
    paper(config, folder)
    after = {name: (folder / name / seed / "results.json").stat().st_mtime_ns for name, seed in last.items()}
    assert [name for name in last if after[name] != before[name]] == ["a_a"]
    assert (folder / "a_a" / "seed_1" / "results.json").read_bytes() == lost
    assert (folder / "results.json").read_bytes() == results


def test_a_folder_in_which_another_run_is_at_work_is_refused(tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(InvalidInput, match="another run is at work there"),
        alone_in(tmp_path),
    ):
        pass
    with alone_in(tmp_path):  # once it has ended
        pass
