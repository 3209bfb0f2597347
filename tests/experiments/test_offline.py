"""``interestlab offline`` as a whole: a small world's log, a log from elsewhere, and what cannot be asked."""

import json
import shutil

import numpy as np
import pytest

from experiments.offline.command import check_plan, offline, offline_results
from experiments.plugins import with_plugins
from sim.errors import InvalidInput
from sim.log import InteractionLog
from tests.command_line import interestlab
from tests.composing import by_hydra, compose
from tests.conftest import cache_with_weights
from tests.experiments.installed import install
from tests.experiments.offline.ring import ring_dataset

AGENTS = "[popular,random,counts,random_novel,two_tower]"
FILES = ("offline.html", "offline.json", "offline.md", "figures/next_item.svg", "figures/next_novel_cluster.pdf")


def config_of(*overrides):
    return compose("offline", ["world=tiny", "experiment.burn_in_days=4", *overrides])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shared_cache):
    folder = tmp_path_factory.mktemp("offline")
    overrides = [f"offline.agents={AGENTS}", "offline.resamples=200", f"cache_dir={shared_cache}", "runtime.workers=1"]
    return folder, overrides, offline(config_of(*overrides), folder)


def test_a_run_leaves_numbers_a_page_and_figures(finished):
    folder, _, page = finished
    assert page == folder / "offline.html"
    actual = json.loads((folder / "offline.json").read_text())
    assert sum(actual["users"].values()) == actual["dataset"]["num_users"] == 150
    assert actual["dataset"]["split_day"] == 2
    for of_task in actual["tasks"].values():
        assert list(of_task["agents"]) == AGENTS.strip("[]").split(",")
        assert set(of_task["differences"]) == {"random", "counts", "random_novel", "two_tower"}
        for agent in of_task["agents"].values():
            for measure, cell in agent["measures"].items():
                assert cell["low"] <= cell["value"] <= cell["high"], measure
    item = actual["tasks"]["next_item"]
    # Popularity is what a log of a young recommender can be predicted by; a random list is at chance, which is exact.
    assert item["differences"]["random"]["recall"]["high"] < 0
    assert item["differences"]["random"]["recall"]["p_holm"] < 0.01
    of_random = item["agents"]["random"]["measures"]["recall"]
    assert of_random["low"] <= item["chance"]["recall"] <= of_random["high"]
    novel = actual["tasks"]["next_novel_cluster"]
    of_random = novel["agents"]["random_novel"]["measures"]["recall"]
    assert of_random["low"] <= novel["chance"]["recall"] <= of_random["high"]
    text = page.read_text()
    assert "What was never shown cannot be a hit" in text
    assert text.count('class="narrow-only"><svg ') == 3
    assert (folder / "offline.md").read_text().count("| popular |") == 3
    for name in FILES:
        assert (folder / name).is_file()


@pytest.mark.slow
def test_two_processes_and_no_cache_give_the_same_bytes(finished, tmp_path, shared_cache):
    folder, overrides, _ = finished
    cache = cache_with_weights(tmp_path / "cache", shared_cache)
    (cache / "stages").mkdir()
    for stage in (shared_cache / "stages").iterdir():  # the world's burn-in is not what is tested
        if stage.name.startswith(("burn-in", "clusters")) and stage.suffix not in (".lock", ".partial"):
            shutil.copytree(stage, cache / "stages" / stage.name)
    offline(config_of(*overrides[:2], f"cache_dir={cache}", "runtime.workers=2"), tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_finished_agents_are_not_asked_again(finished, shared_cache):
    folder, overrides, _ = finished
    before = {
        path.name: path.stat().st_mtime_ns for path in (shared_cache / "stages").glob("offline-*") if path.is_dir()
    }
    changed = [overrides[0], "offline.resamples=300", *overrides[2:], "offline.reference=counts"]
    new = offline_results(config_of(*changed))["tasks"]["next_item"]
    after = {
        path.name: path.stat().st_mtime_ns for path in (shared_cache / "stages").glob("offline-*") if path.is_dir()
    }
    assert after == before
    old = json.loads((folder / "offline.json").read_text())["tasks"]["next_item"]
    value = {key: cell["value"] for key, cell in old["differences"]["counts"].items()}
    assert {key: -cell["value"] for key, cell in new["differences"]["popular"].items()} == pytest.approx(value)


def test_a_log_from_elsewhere_needs_no_world(tmp_path, weights_cache):
    cache = cache_with_weights(tmp_path / "cache", weights_cache)
    ring_dataset(240).write(tmp_path / "ring")  # with fewer users too many transitions are equally frequent
    overrides = [
        f"offline.dataset={tmp_path / 'ring'}", "offline.agents=[popular_novel,counts,random_novel]", "offline.top_k=2",
        "offline.reference=popular_novel", "offline.resamples=200", f"cache_dir={cache}", "runtime.workers=1",
    ]  # fmt: skip
    actual = offline_results(config_of(*overrides))
    novel = actual["tasks"]["next_novel_cluster"]
    assert novel["agents"]["counts"]["measures"]["recall"]["value"] > 0.9
    assert novel["differences"]["counts"]["recall"]["low"] > 0.3
    assert novel["differences"]["counts"]["recall"]["p_holm"] < 1e-6
    assert actual["dataset"]["name"] == "ring"
    assert not list((cache / "stages").glob("burn-in-*"))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("offline.held_out_days=0", "offline.held_out_days=0: must be a whole number, at least 1"),
        ("offline.top_k=ten", "offline.top_k='ten': must be a whole number, at least 1"),
        ("offline.resamples=5", "offline.resamples=5: must be a whole number, at least 100"),
        ("offline.exclude_seen=maybe", "offline.exclude_seen='maybe': must be true or false"),
        ("offline.dataset=7", "offline.dataset=7: must be a folder, or null"),
        ("offline.agents=[nobody]", "offline.agents='nobody': unknown agent; known are random, popular"),
        ("offline.agents=[]", "offline.agents=[]: must be all, or a list"),
        ("offline.agents=[popular,popular]", "must be all, or a list of agents, each once"),
        (
            "offline.agents=[popular,oracle]",
            "offline.agents='oracle': cannot be asked: plans from latent state",
        ),
        ("offline.agents=[counts]", "offline.reference='popular': must be one of counts"),
        ("+offline.colour=blue", "offline.colour='blue': unknown entry"),
        ("~offline.top_k", "offline.top_k=None: is missing"),
        ("seed=-1", "seed=-1: must be a whole number"),
    ],
)
def test_impossible_settings_are_named(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        check_plan(config_of(override, f"cache_dir={tmp_path}"))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_all_leaves_out_who_cannot_be_asked_and_says_why(tmp_path):
    plan = check_plan(config_of(f"cache_dir={tmp_path}"))
    assert set(plan.left_out) >= {"oracle", "llm", "llm_best_of_n", "llm_zero_shot"}
    assert "latent state" in plan.left_out["oracle"]
    assert "language model's table" in plan.left_out["llm"]
    assert not set(plan.left_out) & set(plan.study.agents)
    assert {"popular", "counts", "hcb", "sequence", "text_neighbour"} <= set(plan.study.agents)
    assert not plan.settings


def test_an_installed_plugin_is_asked_where_it_is_named(tmp_path, monkeypatch):
    """One that fails had ended every run of ``all``, which named nobody."""
    install(tmp_path / "site", "mine", code="raise SystemExit('broken')")
    install(tmp_path / "site", "counts", package="also_counts")  # cannot be had: ours has that name
    monkeypatch.syspath_prepend(tmp_path / "site")
    words = ["world=tiny", f"cache_dir={tmp_path}"]
    plan = check_plan(by_hydra("offline", with_plugins("offline", [*words, "+agent@agents.bold=hcb"])))
    assert plan.left_out["mine"] == "comes from another package; name it in offline.agents to have it asked"
    assert "mine" not in plan.study.agents
    assert {"bold", "counts"} <= set(plan.study.agents)
    named = by_hydra("offline", with_plugins("offline", [*words, "offline.agents=[popular,mine]"]))
    with pytest.raises(InvalidInput, match=r"^agent mine='mine.Mine': could not be made: .*SystemExit: broken"):
        check_plan(named)


def test_the_language_model_is_asked_where_it_is_named(tmp_path, shared_cache):
    plan = check_plan(config_of("offline.agents=[popular,llm]", "llm=tiny", f"cache_dir={shared_cache}"))
    assert set(plan.settings) == {"llm"}
    assert plan.left_out == {}


@pytest.mark.slow
def test_the_language_models_table_is_made_of_the_days_before(shared_cache, model):
    small = ["llm=tiny", f"llm.model={model}", "llm.precision=fp32", "llm.steps=2", "llm.eval_pairs=2"]
    small += ["offline.resamples=100", f"cache_dir={shared_cache}"]
    actual = offline_results(config_of("offline.agents=[popular,llm,random_novel]", *small))
    assert actual["tasks"]["next_novel_cluster"]["agents"]["llm"]["planned"]
    made = [json.loads(path.read_text()) for path in (shared_cache / "stages").glob("table-*/made.json")]
    assert any(each["clusters"]["stage"].startswith("offline-history") for each in made)


def broken(folder, how):
    """A data set's folder with one thing wrong."""
    data = ring_dataset()
    data.write(folder)
    path = folder / "log.parquet"
    if how == "half a file":
        path.write_bytes(path.read_bytes()[:1000])
        return
    columns = dict(vars(data.log))
    if how in ("interleaved", "twice"):
        users = 120  # of the first step, whose rows are mixed
        rows = np.append(np.arange(users)[::-1], np.arange(users, len(data.log)))
        rows = rows if how == "interleaved" else np.repeat(np.arange(len(data.log)), 2)
        data.log.where(rows).write(path)
        facts = json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").write_text(json.dumps({**facts, "num_impressions": len(rows)}))
        return
    if how == "time":
        rows = np.arange(len(data.log))
        rows[[10, -1]] = rows[[-1, 10]]
        data.log.where(rows).write(path)
        return
    values = columns[how].copy()
    values[[3, 8]] = 5000
    InteractionLog(**{**columns, how: values}).write(path)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("user", "log.user='5000 in row 3': must be 0 to 119; 2 of 4,800 rows are not so"),
        ("item", "log.item='5000 in row 3': must be 0 to 143; 2 of 4,800 rows are not so"),
        ("time", "must not go backwards: sort the rows by day, step, user and slot; "),
        ("interleaved", "must not go backwards: sort the rows by day, step, user and slot; "),
        ("twice", "must not stand twice: a row is one slot of one request; 4,800 of 9,600 rows are not so"),
        ("half a file", "must be a readable Parquet file"),
    ],
)
def test_a_broken_data_set_is_refused_in_one_line(tmp_path, how, says):
    broken(tmp_path / "data", how)
    config = config_of(
        f"offline.dataset={tmp_path / 'data'}", "offline.agents=[popular]", f"cache_dir={tmp_path / 'c'}"
    )
    with pytest.raises(InvalidInput) as error:
        offline(config, tmp_path / "out")
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_lists_longer_than_what_there_is_are_refused(tmp_path):
    ring_dataset().write(tmp_path / "data")
    dataset = f"offline.dataset={tmp_path / 'data'}"
    config = config_of(dataset, "offline.agents=[popular]", "offline.top_k=25", f"cache_dir={tmp_path / 'cache'}")
    with pytest.raises(InvalidInput, match=r"offline.top_k=25: must be at most 24, the clusters there are"):
        offline(config, tmp_path / "out")


def test_the_command_prints_one_line(tmp_path):
    words = ["world=tiny", f"offline.dataset={tmp_path / 'no'}", "offline.agents=[popular]"]
    done = interestlab("offline", *words, f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={tmp_path / 'out'}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("interestlab offline: ")
    assert "must be a folder with a whole dataset.json" in done.stderr
    assert done.stderr.count("\n") == 1
