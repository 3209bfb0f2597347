"""The command, end to end, on the tiny world with a tiny model with random weights."""

import json

import pytest
from omegaconf import OmegaConf

from agents.llm.weights import BUNDLED_MODEL
from experiments.knowledge.command import check, cost
from experiments.knowledge.contestants import CONTESTANTS, LLM
from experiments.knowledge.measures import MEASURES
from experiments.knowledge.outcome import CHANCE, IDEAL, SAME_MODEL
from experiments.knowledge.page import findings
from experiments.knowledge.schema import KnowledgeResults
from sim.errors import InvalidInput
from tests.agents.llm.families import make_family
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.schema import check_schema

SMALL = ["world=tiny", "llm=tiny", "folds=2", "pairs_per_persona=3", "llm.precision=fp32", "llm.eval_pairs=4"]
SHORT = ["llm.steps=3", "llm.eval_every=3", "llm.pairs_per_label=3", "twin.steps=6", "twin.eval_every=3"]


def config_of(*overrides):
    return compose("knowledge", list(overrides))


def run(cache, out, *overrides):
    done = interestlab("knowledge", *SMALL, *SHORT, *overrides, f"cache_dir={cache}", f"hydra.run.dir={out}")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_family("qwen2", tmp_path_factory.mktemp("weights") / "qwen2", hidden_size=16, num_hidden_layers=1)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    cache, out = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("out")
    return cache, out, run(cache, out, f"llm.model={model}")


@pytest.mark.slow
def test_the_cost_is_printed_and_results_are_written(whole):
    _, out, said = whole
    assert "at most 4 fine-tunings of 3 steps of 8 and 4 of the twin, 6 steps of 8" in said.stdout
    assert said.stdout.strip().endswith(f"knowledge: {out / 'knowledge.html'}")
    results = json.loads((out / "knowledge.json").read_text())
    assert list(results["worlds"]) == ["1", "0"]
    for world in results["worlds"].values():
        assert set(world["contestants"]) == {*CONTESTANTS, CHANCE, IDEAL}
        assert set(world["differences"]) == {*CONTESTANTS, CHANCE, SAME_MODEL} - {LLM}
        for part in ("contestants", "differences"):
            for measured in world[part].values():
                assert set(measured) == set(MEASURES)
                assert all(set(estimate) == {"value", "low", "high", "n"} for estimate in measured.values())
        assert world["contestants"][CHANCE]["auc"]["value"] == 0.5
        assert world["contestants"][IDEAL]["auc"]["value"] == 1
        for name in CONTESTANTS:
            for measure in MEASURES:
                assert world["contestants"][name][measure]["value"] >= 0
                assert world["contestants"][name][measure]["value"] <= world["contestants"][IDEAL][measure]["value"]
        asked = sum(fold["personas_asked"] for fold in world["facts"]["folds"])
        assert world["contestants"][LLM]["auc"]["n"] == asked >= 2
        assert all(fold["transitions_removed"] > 0 for fold in world["facts"]["folds"])
        assert [run["who"] for run in world["training"]] == [LLM, "llm_random_weights"] * 2
    one, other = results["worlds"]["1"], results["worlds"]["0"]
    assert one["facts"] == other["facts"]  # permuted labels change nothing but the words
    for name in ("svd", "counts"):
        assert one["contestants"][name] == other["contestants"][name]
    assert one["contestants"]["text_neighbour"] != other["contestants"]["text_neighbour"]


@pytest.mark.slow
def test_page_table_and_figure_say_the_same(whole):
    _, out, said = whole
    results = json.loads((out / "knowledge.json").read_text())
    check_schema(KnowledgeResults, results)
    assert findings(results["worlds"]) == results["findings"]
    table, page = (out / "knowledge.md").read_text(), (out / "knowledge.html").read_text()
    for line in results["findings"]:
        assert line in table
    value = f"{results['worlds']['0']['contestants']['svd']['auc']['value']:.3f}"
    assert f"| svd | {value} [" in table
    assert value in page
    assert table.strip() in said.stdout
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert any("fine-tuned too little" in line for line in results["findings"])  # six steps teach no language
    for kind in ("svg", "png"):
        assert (out / "figures" / f"knowledge.{kind}").stat().st_size > 1000


@pytest.mark.slow
def test_nothing_is_done_twice_and_no_weights_stay(whole, model, tmp_path):
    cache, out, _ = whole
    run(cache, tmp_path, f"llm.model={model}")
    for name in ("knowledge.json", "knowledge.html", "knowledge.md"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()
    assert len(json.loads((tmp_path / "timings.json").read_text())["from_cache"]) == 16
    assert not list(cache.glob("stages/knowledge-*/run/model"))
    assert not list(cache.glob("stages/*.partial"))


@pytest.mark.slow
def test_one_worker_gives_the_results_of_two(whole, model, tmp_path):
    _, out, _ = whole
    run(tmp_path / "cache", tmp_path / "out", f"llm.model={model}", "runtime.workers=1")
    assert (tmp_path / "out" / "knowledge.json").read_bytes() == (out / "knowledge.json").read_bytes()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("folds=1", "folds=1: must be a whole number, at least 2"),
        ("pairs_per_persona=0", "pairs_per_persona=0: must be a whole number, at least 1"),
        ("svd_rank=2.5", "svd_rank=2.5: must be a whole number, at least 1"),
        ("alphas=[]", "alphas=[]: must be a list of different numbers from 0 to 1"),
        ("alphas=[1,1.0]", "alphas=[1, 1.0]: must be a list of different numbers"),
        ("alphas=[2]", "alphas=[2]: must be a list"),
        ("encoder_weight=-1", "encoder_weight=-1: must be a number from 0"),
        ("llm.steps=0", "llm.steps=0: must be at least 1"),
        ("llm.random_weights=true", "llm.random_weights=True: must be false"),
        ("+twin.colour=red", "twin.colour='red': unknown entry"),
        ("twin.steps=-1", "twin.steps=-1: must be a whole number, at least 0"),
        ("world.num_users=0", "world.num_users=0: must be a whole number from 1 to 100000000"),
    ],
)
def test_impossible_values_are_named(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        check(config_of("world=tiny", f"cache_dir={tmp_path}", override))
    assert says in str(error.value)


def test_an_endpoint_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"llm\.engine='http': must be transformers"):
        check(config_of("llm=endpoint", "llm.model=m", f"cache_dir={tmp_path}"))


def test_the_default_is_what_the_protocol_says(tmp_path):
    studies, knowledge = check(config_of(f"cache_dir={tmp_path}"))
    assert [study.world.semantic_alignment for study in studies] == [1.0, 0.0]
    assert studies[0].world.num_interests == 96
    assert knowledge.models[LLM].model == BUNDLED_MODEL
    twin, tuned = knowledge.models["llm_random_weights"], knowledge.models[LLM]
    assert twin.random_weights
    assert twin.steps > tuned.steps
    assert not tuned.random_weights
    assert knowledge.models["llm_zero_shot"].steps == 0
    assert "2 worlds x 3 folds" in cost(knowledge)


def test_rivals_are_set_as_the_agents_of_their_names():
    counts, llm_text = (compose("compare", [f"+agent@agents.its={name}"]).agents.its for name in ("counts", "llm_text"))
    config = config_of()
    assert config.counts_smoothing == counts.planner.smoothing == 20
    assert config.encoder_weight == llm_text.llm.encoder_weight == 1


@pytest.mark.parametrize("smoothing", ["0", "-1", "inf", "nan", "many", "true"])
def test_smoothing_must_be_positive(smoothing, tmp_path):
    with pytest.raises(InvalidInput, match="counts_smoothing"):
        check(config_of(f"cache_dir={tmp_path}", f"counts_smoothing={smoothing}"))


def test_worlds_share_the_burn_in_of_compare(tmp_path):
    """Apart from alpha, nothing in what the burn-in rests on is different."""
    of_compare = OmegaConf.to_container(compose("compare"))
    of_knowledge = OmegaConf.to_container(config_of())
    for key in ("seed", "world", "production"):
        assert of_knowledge[key] == of_compare[key]
    for key in ("burn_in_days", "slots"):
        assert of_knowledge["experiment"][key] == of_compare["experiment"][key]


def test_help_helps():
    said = interestlab("knowledge", "--help").stdout
    assert "usage: interestlab knowledge" in said
    assert "pairs_per_persona=40" in said
