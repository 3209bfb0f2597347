"""What is planned: variants and worlds from the config, what they share, and what is refused."""

import json
import shutil
from dataclasses import replace
from importlib.resources import files

import pytest
import yaml

from experiments import plugins
from experiments.compare.command import check_study
from experiments.live import pipeline
from experiments.llm.arms import settings_by_arm
from experiments.paper.command import paper
from experiments.several import runs
from experiments.several.cost import core_seconds, cost_lines, pieces_of
from experiments.several.plan import Comparison, plan
from sim.errors import InvalidInput
from sim.log import InteractionLog
from tests.composing import compose


def composed(tmp_path, *overrides):
    return compose("paper", ["world=tiny", "llm=tiny", f"cache_dir={tmp_path / 'cache'}", *overrides])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paper")


@pytest.fixture(scope="module")
def planned(folder):
    return plan(composed(folder, "paper.seeds=[3,4,5,6]"), folder / "out")


def of(planned, variant):
    return next(each for each in planned if each.variant == variant)


def test_every_variant_has_its_worlds(planned, folder):
    seeds = {each.variant: [] for each in planned}
    for each in planned:
        seeds[each.variant].append(each.seed)
        assert each.folder == folder / "out" / each.variant / f"seed_{each.seed}"
        assert each.study.seed == each.seed
    assert seeds["main"] == seeds["a_a"] == [3, 4, 5, 6]
    assert all(seeds[name] == [3, 4, 5] for name in ("twin", "alpha_0", "no_dormant_no_satiation", "curation"))


def test_variants_differ_in_what_they_name_alone(planned):
    main, permuted = of(planned, "main").study, of(planned, "alpha_0").study
    assert (main.world.semantic_alignment, permuted.world.semantic_alignment) == (1.0, 0.0)
    assert permuted.experiment.control == "llm_random_weights"
    assert main.agents["llm"] == permuted.agents["llm"]
    assert of(planned, "curation").tables_only
    assert set(of(planned, "a_a").study.agents) == {"random_novel", "random_novel_again"}


def test_the_world_with_nothing_to_find_is_that_of_the_control(planned):
    control = yaml.safe_load(files("conf").joinpath("world/control.yaml").read_text())
    world = of(planned, "no_dormant_no_satiation").config["world"]
    for group in ("population", "dynamics"):
        assert control[group].items() <= world[group].items()


def test_the_twin_has_a_schedule_of_its_own_that_follows_the_models(tmp_path):
    each = of(plan(composed(tmp_path, "llm.steps=40"), tmp_path), "twin")
    settings = settings_by_arm(each.study, each.config)
    model, twin = settings["llm"], settings["llm_random_weights"]
    assert (model.steps, twin.steps) == (40, 80)
    assert twin.eval_every == 2 * model.eval_every
    assert twin.learning_rate > model.learning_rate
    assert twin.random_weights
    assert not twin.freeze_embeddings
    assert model.threads == twin.threads == 1


@pytest.mark.parametrize("scale", [("world=small", "llm=smollm2"), ("world=paper", "llm=paper")])
def test_other_scales_go_through_the_same_command(tmp_path, scale):
    assert len(plan(composed(tmp_path, *scale), tmp_path)) == 22


def test_what_variants_share_is_counted_once(planned):
    main, a_a = of(planned, "main"), of(planned, "a_a")
    alone, extra = pieces_of(main), core_seconds([pieces_of(main), pieces_of(a_a)]) - core_seconds([pieces_of(main)])
    assert extra == pytest.approx(
        core_seconds([pieces_of(a_a)]) / (2 + 60 / 50 * 7 / 14), rel=0.01
    )  # one arm of two, no burn-in, which has 7 days to 14
    assert all(seconds > 0 for seconds in alone.values())


def test_finished_comparisons_are_told_from_those_of_another_config(planned, tmp_path):
    moved = [replace(each, folder=tmp_path / "out" / each.variant / f"seed_{each.seed}") for each in planned]
    first = moved[0]
    first.folder.mkdir(parents=True)
    (first.folder / "done").write_text(first.digest() + "\n")
    assert first.is_done()
    assert "1 of them finished" in cost_lines(moved, 2)
    other = plan(composed(tmp_path, "paper.seeds=[3,4]", "experiment.days=9"), tmp_path / "out")[0]
    assert other.folder == first.folder
    assert not other.is_done()
    elsewhere = composed(tmp_path, "paper.seeds=[3,4]", "runtime.workers=7", "cache_dir=/tmp")
    assert plan(elsewhere, tmp_path / "out")[0].is_done()


def test_a_finished_comparison_is_run_again_where_files_that_it_rests_on_changed(tmp_path, monkeypatch):
    """Interests that the user authored, and plugins, had changed without a comparison's being run again."""
    interests = shutil.copytree(files("sim").joinpath("data"), tmp_path / "interests")
    (tmp_path / "shelf_of_plans.py").write_text("from agents.popular import PopularAgent as Shelf\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = composed(tmp_path, "paper.seeds=[3,4]", f"world.taxonomy={interests}")
    config.agents.hcb = {"_target_": "shelf_of_plans.Shelf"}

    def digest():
        plugins._digest_of_package.cache_clear()
        return plan(config, tmp_path / "out")[0].digest()

    first = digest()
    assert digest() == first
    (tmp_path / "shelf_of_plans.py").write_text("from agents.random import RandomAgent as Shelf\n")
    second = digest()
    assert second != first
    persona = interests / "personas.yaml"
    persona.write_text(persona.read_text() + "# another word\n")
    assert digest() not in (first, second)


def test_files_that_change_during_a_run_make_it_another_comparison(planned, tmp_path, monkeypatch):
    comparison = replace(planned[0], folder=tmp_path)
    content = ["as it was when the run began"]
    monkeypatch.setattr(Comparison, "digest", lambda self: content[0])
    monkeypatch.setattr(runs, "compare", lambda config, folder: content.append(content.pop() + ", edited"))
    runs.run_one(comparison, workers=1)
    assert not comparison.is_done()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("paper.seeds=[1]", "paper.seeds=[1]: must be a list of two or more different"),
        ("paper.seeds=[1,1]", "paper.seeds=[1, 1]: must be a list of two or more different"),
        ("paper.seeds=3", "paper.seeds=3: must be a list of two or more different"),
        ("paper.seeds=[-1,2]", "paper.seeds=[-1, 2]: must be a list"),
        ("paper.variants.twin=3", "paper.variants.twin=3: must be entries such as"),
        ("paper.variants.twin.worlds=0", "paper.variants.twin.worlds=0: must be a whole number, at least 1"),
        ("paper.variants.curation.tables_only=2", "paper.variants.curation.tables_only=2: must be true or false"),
        ("+paper.variants.twin.colour=blue", "paper.variants.twin.colour='blue': is no entry of the config"),
        ("~paper.variants.main", "must have main"),
        ("+paper.worlds=3", "paper.worlds=3: unknown entry; known are seeds, variants"),
        ("world.num_users=0", "world.num_users=0: must be a whole number from 1 to 100000000"),
        ("llm.steps=-1", "llm.steps=-1"),
        ("runtime.workers=0", "runtime.workers=0: must be a whole number"),
        ("llm.model=/no/such/folder", "llm.model='/no/such/folder'"),
    ],
)
def test_bad_input_is_named_before_anything_runs(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        paper(composed(tmp_path, override), tmp_path / "out")
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache" / "stages").exists()


def test_permuted_labels_change_nothing_but_words(tmp_path):
    """Why at alpha = 0 only arms that read words are run."""
    logs = []
    for alpha in (1.0, 0.0):
        overrides = [
            "world=tiny", f"world.semantic_alignment={alpha}", "experiment.burn_in_days=3", "world.num_users=60",
            "experiment.arms=[control]", "experiment.reference=control", f"cache_dir={tmp_path}",
        ]  # fmt: skip
        before = pipeline.burn_in(check_study(compose("compare", overrides)))
        logs.append(InteractionLog.read(before.folder / "log.parquet"))
    assert len(logs[0]) > 100
    assert logs[0].digest() == logs[1].digest()


def test_the_plan_can_be_read(planned):
    text = cost_lines(planned, 2)
    assert "main: control, sequence, two_tower" in text
    assert "curation: tables of llm, llm_random_curation; worlds 3, 4, 5" in text
    assert "on 2 quiet cores" in text
    assert json.loads(json.dumps(planned[0].config)) == planned[0].config
