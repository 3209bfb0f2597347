"""``interestlab dataset``: from a folder to a folder, and mistakes in one line."""

import json

import pytest

from experiments.dataset.command import dataset
from experiments.datasets.dataset import LoggedDataset
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.datasets import formats


def run(folder, *overrides):
    config = compose("dataset", ["world=tiny", *overrides])
    return dataset(config, folder)


def test_a_published_data_set_is_read_summarised_and_written(tmp_path):
    formats.kuairand(tmp_path / "in")
    shown = run(
        tmp_path / "out", "dataset.source=kuairand", f"dataset.folder={tmp_path / 'in'}", f"dataset.to={tmp_path / 'd'}"
    )
    assert shown == [
        ("data set", "KuaiRand"),
        ("users", "2"),
        ("items", "3"),
        ("clusters", "3"),
        ("impressions", "5"),
        ("days", "2"),
        ("positive rate", "40.00 %"),
        ("watch time", "logged"),
        ("propensities", "of 20.0 % of impressions"),
        ("left out", "1 rows with too few or too many fields"),
        ("left out", "1 rows without a number in video_id"),
        ("left out", "1 rows of items that the source does not describe"),
        ("left out", "1 rows of items without a category"),
        ("left out", "1 rows that stand twice"),
        ("left out", "2 items that no row shows"),
        ("parquet", str(tmp_path / "d")),
    ]
    facts = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (facts["users"], facts["rows_with_propensity"], facts["left_out"]["rows that stand twice"]) == (2, 1, 1)
    assert len(LoggedDataset.read(tmp_path / "d").log) == 5


@pytest.mark.slow
def test_an_arms_log_is_the_one_that_a_comparison_leaves(tmp_path, shared_cache):
    words = ["experiment.burn_in_days=2", "experiment.days=2", "world.num_users=60", "runtime.workers=1"]
    words += [f"cache_dir={shared_cache}", "experiment.arms=[control,random]", "experiment.reference=control"]
    run(tmp_path / "out", *words, "dataset.part=random", f"dataset.to={tmp_path / 'd'}")
    data = LoggedDataset.read(tmp_path / "d")
    done = interestlab("compare", "world=tiny", *words, f"hydra.run.dir={tmp_path / 'compared'}")
    assert done.returncode == 0, done.stderr
    compared = json.loads((tmp_path / "compared" / "results.json").read_text())
    assert data.log.digest() == compared["log_sha256"]["random"]
    assert "arm random" in json.loads((tmp_path / "compared" / "timings.json").read_text())["from_cache"]
    assert (data.log.day.min(), data.log.day.max()) == (2, 3)
    assert (data.catalog.upload_day[data.log.item] <= data.log.day).all()
    with pytest.raises(InvalidInput, match=r"dataset\.part='nobody': must be null or one of control, random"):
        run(tmp_path / "out", *words, "dataset.part=nobody")


def test_one_format_becomes_another(tmp_path):
    formats.movielens(tmp_path / "in", True)
    run(tmp_path, "dataset.source=movielens", f"dataset.folder={tmp_path / 'in'}", "dataset.name=films")
    own = f"dataset.folder={tmp_path / 'dataset'}"
    for export in ("kuairand", "kuairec", "mind", "movielens", "obp"):
        run(tmp_path, own, f"dataset.export={export}", f"dataset.to={tmp_path / export}")
        back = dict(run(tmp_path / "back", f"dataset.source={export}", f"dataset.folder={tmp_path / export}"))
        assert (back["users"], back["items"], back["impressions"]) == ("2", "3", "4")
    assert back["data set"] == "films"
    assert back["positive rate"] == "50.00 % of what was consumed: nothing else was logged"


def test_a_log_goes_to_minari(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    formats.logged().write(tmp_path / "in")
    shown = run(tmp_path, f"dataset.folder={tmp_path / 'in'}", "dataset.export=minari", "dataset.minari=planted/log-v0")
    assert shown[-1] == ("minari", "planted/log-v0")
    assert minari.load_dataset("planted/log-v0").total_episodes == 5


@pytest.mark.slow
def test_a_simulated_world_s_log(tmp_path, shared_cache):
    shown = dict(run(tmp_path, "experiment.burn_in_days=2", f"cache_dir={shared_cache}"))
    assert (shown["days"], shown["clusters"], shown["left out"]) == ("2", "36", "nothing")
    assert LoggedDataset.read(tmp_path / "dataset").source == "interestlab"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.source=netflix"], "dataset.source='netflix': must be one of interestlab, kuairand"),
        (["dataset.source=mind"], "dataset.folder=None: must be the folder with the files of mind"),
        (["dataset.export=xml"], "dataset.export='xml': must be one of parquet, minari, kuairand"),
        (["+dataset.colour=red"], "dataset.colour='red': unknown entry"),
        (["dataset.folder=nowhere"], "dataset='nowhere': must be a folder with a whole dataset.json"),
        (
            ["dataset.source=mind", "dataset.folder=nowhere"],
            "dataset.folder='nowhere': must be a folder with the files",
        ),
        (["dataset.source=obp", "dataset.folder=nowhere"], r"dataset file='nowhere': must be a whole .npz file"),
        (["dataset.source=kuairec", "dataset.folder=.", "dataset.part=x"], "dataset.part='x': must be null or one of"),
        (["experiment.burn_in_days=0"], "experiment.burn_in_days=0"),
    ],
)
def test_mistakes_are_named(tmp_path, overrides, message):
    with pytest.raises(InvalidInput) as error:
        run(tmp_path, *overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_prints_one_line_and_no_traceback(tmp_path):
    path = formats.open_bandit(tmp_path) / "bts" / "men" / "men.csv"
    path.write_text(path.read_text().replace(",0.25,", ",0.0,"))
    words = ["dataset.source=open_bandit", "dataset.folder=.", "dataset.part=bts/men"]
    done = interestlab("dataset", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "interestlab dataset: log.propensity='0.0 in row 1': must be in (0, 1], or missing; 1 of 3 rows are not so\n"
    )
