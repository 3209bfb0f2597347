"""The folder of a logged data set: what is written is read, what cannot be is refused."""

from pathlib import Path

import numpy as np
import pytest

from experiments.datasets.dataset import LoggedDataset
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from tests.experiments.synthetic import log_of
from tests.sim.catalogs import planted_catalog


def small() -> LoggedDataset:
    """Six items of three clusters, two users, four impressions."""
    catalog = planted_catalog(np.array([0, 0, 1, 1, 2, 2]), noise=0.1)
    centroid = catalog.embedding[::2].astype(np.float32)
    path = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [1, 2, 2, 2]])
    clusters = InterestClusters(path, centroid, (("tea",), ("chess", "openings"), ("surfing",)))
    log = log_of(
        user=[0, 0, 1, 0], day=[0, 0, 0, 1], slot=[0, 1, 0, 0], item=[0, 2, 5, 3], cluster=[0, 1, 2, 1],
        watch_seconds=[30.0, 0, 2, 8], propensity=[0.5, np.nan, 0.25, 1.0], positive=[1, 0, 0, 0],
        consumed=[1, 0, 0, 1],
    )  # fmt: skip
    return LoggedDataset("small", "test", 2, log, catalog, clusters, left_out={"no item": 3}, user_id=("ann", "bo"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    data = small()
    data.write(tmp_path / "d")
    again = LoggedDataset.read(tmp_path / "d")
    assert again.log.digest() == data.log.digest()
    assert (again.name, again.num_users, again.left_out, again.user_id) == ("small", 2, {"no item": 3}, ("ann", "bo"))
    assert again.clusters.digest == data.clusters.digest
    for item in range(6):
        assert again.catalog.title(item) == data.catalog.title(item)
        assert again.catalog.hashtags(item) == data.catalog.hashtags(item)
    np.testing.assert_array_equal(again.catalog.embedding, data.catalog.embedding)
    np.testing.assert_array_equal(again.catalog.length, data.catalog.length)


def test_the_log_says_where_items_are_filed() -> None:
    np.testing.assert_array_equal(small().cluster_of_item, [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user", 2, "must be 0 to 1; 1 of 4 rows"),
        ("item", -1, "must be 0 to 5"),
        ("cluster", 3, "must be 0 to 2"),
        ("propensity", 0.0, "must be in"),
        ("propensity", 1.5, "must be in"),
        ("watch_seconds", np.nan, "must be finite"),
        ("source", 4, "must be 0 to 3; 1 of 4 rows"),
        ("source", -1, "must be 0 to 3"),
        ("survey", 7, "must be 1, 0, or -1"),
        ("survey", -2, "must be 1, 0, or -1"),
        ("day", 7, "must not go backwards"),
    ],
)
def test_impossible_rows_are_counted_and_named(column: str, value: float, message: str) -> None:
    data = small()
    values = getattr(data.log, column).copy()
    values[2] = value
    with pytest.raises(InvalidInput, match=message):
        LoggedDataset("x", "test", 2, log_of(**{**vars(data.log), column: values}), data.catalog, data.clusters)


def test_half_a_copy_is_refused(tmp_path: Path) -> None:
    data = small()
    data.write(tmp_path)
    data.log.where(np.arange(3)).write(tmp_path / "log.parquet")
    with pytest.raises(InvalidInput, match="half a copy"):
        LoggedDataset.read(tmp_path)
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(InvalidInput, match=r"whole dataset\.json"):
        LoggedDataset.read(tmp_path)
