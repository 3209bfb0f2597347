"""``interestlab dataset``: from a folder to a folder, and mistakes in one line."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from experiments.dataset.command import dataset, lines
from experiments.dataset.figures import PANELS, PUBLISHED, histories_figure
from experiments.dataset.histories import HistoriesOf, histories_of
from experiments.datasets.dataset import LoggedDataset
from experiments.measures.histories import Histories, histories
from experiments.reporting.text import UNKNOWN, between
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.datasets import formats


def run(folder, *overrides):
    config = compose("dataset", ["world=tiny", *overrides])
    return lines(*dataset(config, folder))


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
        ("ratio of rates", f"{UNKNOWN}: positive, with an earlier positive in the cluster / without"),
        ("concentration", f"{UNKNOWN} of a user's positives on the top cluster, {UNKNOWN} on the second (medians)"),
        ("deep clusters", "0.00 with 5 or more positives a user"),
        ("popularity", "0.33: AUC of items' popularity within users"),
        (
            "sessions",
            f"positive rate 66.7 % {between(-215.7, 349, '.1f')} on the first impression, {UNKNOWN} beyond the 50th",
        ),
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


def test_histories_of_two_data_sets_are_measured_on_the_same_rows_and_drawn(tmp_path):
    formats.movielens(tmp_path / "ml", False)
    logged = formats.logged()
    logged.write(tmp_path / "own")
    words = ["dataset.source=movielens", f"dataset.folder={tmp_path / 'ml'}", f"dataset.compare={tmp_path / 'own'}"]
    done = interestlab("dataset", *words, f"hydra.run.dir={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert "histories of   planted, of what was consumed: one of the two logs has nothing else\n" in done.stdout
    films, own = json.loads((tmp_path / "out" / "summary.json").read_text())["histories"]
    TypeAdapter(list[HistoriesOf]).validate_python([films, own], strict=True)
    assert (films["name"], films["rows"], own["name"], own["rows"]) == (
        "MovieLens, ml",
        "consumed",
        "planted",
        "consumed",
    )
    # User 1 rates Drama 5 and Animation 3; user 2 Drama 2 and, the next day, Drama|Romance 4.
    assert films["measures"]["novelty"]["novel"] == {"value": 0.5, "low": None, "high": None, "n": 2}
    assert films["measures"]["session_place"]["1"]["value"] == pytest.approx(2 / 3)
    assert films["measures"]["popularity"]["auc"]["value"] == 0
    assert films["measures"]["next_active_day"]["1"] == {"value": 1, "low": None, "high": None, "n": 1}
    consumed = logged.log.where(logged.log.consumed)
    assert own["measures"] == histories(consumed, 5, 4)
    for kind in ("svg", "png", "pdf"):
        assert (tmp_path / "out" / f"histories.{kind}").stat().st_size > 10_000


def test_histories_of_one_data_set_count_every_impression(tmp_path):
    logged = formats.logged()
    logged.write(tmp_path / "own")
    run(tmp_path / "out", f"dataset.folder={tmp_path / 'own'}", f"dataset.compare={tmp_path / 'own'}")
    one, two = json.loads((tmp_path / "out" / "summary.json").read_text())["histories"]
    assert one == two == {"name": "planted", "rows": "impressions", "measures": histories(logged.log, 5, 4)}


def test_values_are_drawn_where_they_are_and_published_ones_only_next_to_impressions():
    records = histories_of([formats.logged()])
    consumed = [{**record, "rows": "consumed"} for record in records]
    for these, num in ((records, 6), (consumed, 2)):
        figure = histories_figure(these)
        assert len(figure.axes) == len(PANELS) == len(Histories.__annotations__)
        published = [axes for axes in figure.axes if PUBLISHED in axes.get_legend_handles_labels()[1]]
        assert len(published) == num
        for axes, panel in zip(figure.axes, PANELS, strict=True):
            values = [row["value"] for row in these[0]["measures"][panel.measure].values()]
            drawn = axes.containers[0].lines[0].get_ydata()
            assert drawn / panel.factor == pytest.approx(np.array(values, float), nan_ok=True)


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
    assert (shown["days"], shown["clusters"], shown["left out"]) == ("2", "24", "nothing")
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
        (["dataset.compare=world"], "dataset.compare='world': must be a folder: the data set is the world's burn-in"),
        (["dataset.compare=nowhere"], "dataset.compare='nowhere': must be null, world, or a folder with dataset.json"),
        (["dataset.compare=conf"], "dataset.compare='conf': must be null, world, or a folder with dataset.json"),
        (["dataset.compare=3"], "dataset.compare=3"),
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
