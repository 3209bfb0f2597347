"""A log of ours into other people's formats and back: what a format carries comes back, the rest is said."""

import zipfile

import numpy as np
import pytest

from experiments.datasets import bandit_feedback, kuairand, kuairec, mind, movielens
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.minari_log import read_log, write_log
from experiments.datasets.sources import WRITERS
from sim.errors import InvalidInput
from sim.log import DTYPES, NOT_ASKED
from tests.experiments.datasets.formats import logged, places

FORMATS = {"kuairand": kuairand, "kuairec": kuairec, "mind": mind, "movielens": movielens}


def same_partition(one, other):
    """Whether two filings of the same items are the same but for the numbers."""
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@pytest.mark.parametrize("name", FORMATS)
def test_rows_and_clusters_come_back(tmp_path, name):
    data = logged()
    FORMATS[name].write(data, tmp_path)
    back = FORMATS[name].read(tmp_path)
    sent = data if name != "movielens" else data.where(data.log.consumed | data.log.positive | data.log.disliked)
    if name == "movielens":  # requests and slots close up
        assert [(d, u, j) for d, _, u, _, j in places(back.log)] == [(d, u, j) for d, _, u, _, j in places(sent.log)]
    else:
        assert places(back.log) == places(sent.log)
    assert back.num_users == 5
    filed, own = back.cluster_of_item, data.cluster_of_item
    assert same_partition(filed, own)
    assert same_partition(back.clusters.parent[filed], data.clusters.parent[own])
    assert back.left_out == {}


def test_kuairand_carries_feedback_creators_lengths_and_days(tmp_path):
    data = logged()
    assert kuairand.write(data, tmp_path) == {}
    back = kuairand.read(tmp_path)
    for column in ("liked", "disliked", "positive", "consumed"):
        np.testing.assert_array_equal(getattr(back.log, column), getattr(data.log, column), err_msg=column)
    np.testing.assert_allclose(back.log.watch_seconds, data.log.watch_seconds, atol=5e-4)
    np.testing.assert_allclose(back.log.watch_fraction, data.log.watch_seconds / 30, atol=1e-4)
    for column in ("creator", "length", "upload_day"):
        np.testing.assert_array_equal(getattr(back.catalog, column), getattr(data.catalog, column))
    assert not back.has_propensity


def test_kuairec_carries_watching(tmp_path):
    data = logged()
    assert kuairec.write(data, tmp_path) == {
        "likes that the format cannot carry": int(data.log.liked.sum()),
        "dislikes that the format cannot carry": int(data.log.disliked.sum()),
    }
    back = kuairec.read(tmp_path)
    np.testing.assert_allclose(back.log.watch_seconds, data.log.watch_seconds, atol=5e-4)
    np.testing.assert_array_equal(back.log.watch_fraction, data.log.watch_fraction)
    np.testing.assert_array_equal(back.log.positive, data.log.watch_seconds >= 18)


def test_mind_carries_clicks_and_titles(tmp_path):
    data = logged()
    mind.write(data, tmp_path)
    back = mind.read(tmp_path)
    np.testing.assert_array_equal(back.log.consumed, data.log.consumed)
    assert back.catalog.title(3) == data.catalog.title(3)
    first = (tmp_path / "behaviors.tsv").read_text().splitlines()[0].split("\t")
    assert first[:4] == ["1", "U0", "4/8/2022 12:00:00 AM", ""]


def test_movielens_carries_what_was_liked_and_disliked(tmp_path):
    data = logged()
    lost = movielens.write(data, tmp_path)
    rated = data.log.consumed | data.log.positive | data.log.disliked
    assert lost == {"impressions without consumption that the format cannot carry": int((~rated).sum())}
    back, sent = movielens.read(tmp_path), data.log.where(rated)
    np.testing.assert_array_equal(back.log.positive, sent.positive)
    np.testing.assert_array_equal(back.log.disliked, sent.disliked)
    assert back.catalog.title(3) == data.catalog.title(3)


def test_clock_times_need_a_day_that_is_long_enough(tmp_path):
    data = logged(2)
    data.log.step[1] = 86_400
    for writer in (kuairand, kuairec, mind, movielens):
        with pytest.raises(InvalidInput, match=r"log.step=86401: must be at most 86,400 requests"):
            writer.write(data, tmp_path)


def test_parquet_carries_all(tmp_path):
    data = logged()
    data.write(tmp_path)
    assert LoggedDataset.read(tmp_path).log.digest() == data.log.digest()


def test_the_dict_is_what_obp_takes():
    data = logged()
    feedback = bandit_feedback.bandit_feedback(data)
    assert list(feedback) == [
        "n_rounds", "n_actions", "context", "action_context", "action", "position", "reward", "expected_reward",
        "pscore",
    ]  # fmt: skip
    assert (feedback["n_rounds"], feedback["n_actions"]) == (400, 12)
    np.testing.assert_array_equal(feedback["action"], data.log.item)
    np.testing.assert_array_equal(feedback["position"], data.log.slot)
    np.testing.assert_array_equal(feedback["reward"], data.log.positive)
    np.testing.assert_array_equal(feedback["pscore"], data.log.propensity)
    assert feedback["expected_reward"] is None
    np.testing.assert_array_equal(feedback["action_context"], data.catalog.embedding)


def test_the_context_is_what_was_consumed_before():
    data = logged()
    context = bandit_feedback.bandit_feedback(data)["context"]
    log, theme = data.log, data.clusters.parent[data.log.cluster]
    for row in range(0, 400, 17):
        before = (log.user == log.user[row]) & log.consumed
        before &= (log.day < log.day[row]) | ((log.day == log.day[row]) & (log.step < log.step[row]))
        counts = np.bincount(theme[before], minlength=2)
        np.testing.assert_allclose(context[row], counts / max(counts.sum(), 1))


def test_rows_without_a_propensity_are_counted():
    data = logged()
    data.log.propensity[:7] = np.nan
    assert bandit_feedback.bandit_feedback(data)["n_rounds"] == 393
    assert bandit_feedback.without_propensity(data) == 7
    data.log.propensity[:] = np.nan
    feedback = bandit_feedback.bandit_feedback(data)
    assert (feedback["n_rounds"], feedback["pscore"]) == (400, None)
    assert bandit_feedback.without_propensity(data) == 0


def test_bandit_feedback_comes_back_and_is_the_same_bytes(tmp_path):
    data = logged()
    assert bandit_feedback.write(data, tmp_path / "a") == {}
    bandit_feedback.write(data, tmp_path / "b")
    files = [tmp_path / name / bandit_feedback.FILE for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    back = bandit_feedback.read(tmp_path / "a")
    assert back.log.digest() == data.log.digest()
    assert back.clusters.digest == data.clusters.digest
    np.testing.assert_array_equal(back.catalog.embedding, data.catalog.embedding)
    assert (back.name, back.source, back.num_users) == ("planted", "test", 5)
    feedback, again = bandit_feedback.bandit_feedback(data), bandit_feedback.read_feedback(files[0])
    assert feedback.keys() == again.keys()
    for name, value in feedback.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)


def test_bandit_feedback_from_elsewhere_has_a_user_a_round(tmp_path):
    path = tmp_path / "synthetic.npz"
    np.savez(
        path, n_rounds=3, n_actions=2, action=np.array([1, 0, 1]), reward=np.array([1, 0, 0]),
        pscore=np.array([0.5, 0.25, 1]), context=np.ones((3, 4)), action_context=np.eye(2),
    )  # fmt: skip
    data = bandit_feedback.read(path)
    assert places(data.log) == [(0, 0, 0, 0, 1), (0, 0, 1, 0, 0), (0, 0, 2, 0, 1)]
    assert data.log.propensity.tolist() == [0.5, 0.25, 1]
    assert data.log.positive.tolist() == [True, False, False]
    assert data.clusters.keywords == (("action 0",), ("action 1",))
    np.testing.assert_array_equal(data.clusters.file(data.catalog.embedding)[:, 1], [0, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pscore": np.array([0.5, 0, 1])}, r"log.propensity='0.0 in row 1': must be in \(0, 1\]"),
        ({"pscore": np.array([0.5, 1.5, 1])}, r"log.propensity='1.5 in row 1'"),
        ({"pscore": np.array([0.5, 1])}, r"pscore=\(2,\): must have 3 rows"),
        ({"action": np.array([1, 0, 2])}, r"action=2: must be 0 to 1; 1 of 3 rows"),
        ({"reward": np.array([1, 0, 7])}, r"reward=7: must be 0 or 1; 1 of 3 rows"),
        ({"n_rounds": 4}, "must have 4 rows, one each: half a copy"),
        ({"action": None}, r"action': is an array that it must have"),
    ],
)
def test_bandit_feedback_that_does_not_match_is_refused(tmp_path, changes, message):
    arrays = {"n_rounds": 3, "n_actions": 2, "action": np.array([1, 0, 1]), "reward": np.array([1, 0, 0])} | changes
    np.savez(tmp_path / bandit_feedback.FILE, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(InvalidInput, match=message):
        bandit_feedback.read(tmp_path)


def test_half_an_npz_and_pickles_are_refused(tmp_path):
    path = tmp_path / bandit_feedback.FILE
    bandit_feedback.write(logged(), tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InvalidInput, match=r"must be a whole \.npz file"):
        bandit_feedback.read(tmp_path)
    np.savez(path, n_rounds=np.array([None]))
    assert zipfile.is_zipfile(path)
    with pytest.raises(InvalidInput, match="without pickles"):
        bandit_feedback.read(tmp_path)


def test_a_log_comes_back_out_of_minari(tmp_path, monkeypatch):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = logged()
    assert write_log(data, "interestlab/planted-v0") == {}
    back = read_log("interestlab/planted-v0")
    for name in DTYPES:
        np.testing.assert_array_equal(getattr(back, name), getattr(data.log, name), err_msg=name)
    with pytest.raises(InvalidInput, match=r"dataset_id='interestlab/none-v0'"):
        read_log("interestlab/none-v0")


NO_SURVEY = "has no column 'survey', as logs had none before; read as if nobody was asked"


def test_a_copy_in_obp_from_before_the_survey_is_read_with_one_line(tmp_path, capfd):
    data = logged()
    bandit_feedback.write(data, tmp_path)
    path = tmp_path / bandit_feedback.FILE
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if not name.endswith("survey")}
        assert len(arrays) == len(file.files) - 1
    np.savez(path, **arrays)
    capfd.readouterr()
    back = bandit_feedback.read(tmp_path)
    assert capfd.readouterr().err == f"dataset file {path}: {NO_SURVEY}\n"
    assert (back.log.survey == NOT_ASKED).all()
    np.testing.assert_array_equal(back.log.item, data.log.item)


def test_a_log_in_minari_from_before_the_survey_is_read_with_one_line(tmp_path, monkeypatch, capfd):
    pytest.importorskip("minari")
    h5py = pytest.importorskip("h5py")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = logged()
    write_log(data, "interestlab/planted-v0")
    for file in tmp_path.rglob("*.hdf5"):
        with h5py.File(file, "r+") as stored:
            for episode in stored.values():
                del episode["infos/survey"]
    capfd.readouterr()
    back = read_log("interestlab/planted-v0")
    assert capfd.readouterr().err == f"Minari data set interestlab/planted-v0: {NO_SURVEY}\n"
    assert (back.survey == NOT_ASKED).all()
    np.testing.assert_array_equal(back.item, data.log.item)


def test_every_writer_is_tested():
    assert set(WRITERS) == {*FORMATS, "obp"}
