"""Files that are not right: one clear line that names the file, the value and what would be right."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from experiments.datasets import sources
from experiments.datasets.delimited import numbers, text_blocks
from sim.errors import InvalidInput
from tests.experiments.datasets import formats

WRITTEN = {
    "kuairand": (formats.kuairand, "data/log_standard_4_08_to_4_21_pure.csv", None),
    "kuairec": (formats.kuairec, "data/big_matrix.csv", None),
    "mind": (formats.mind, "behaviors.tsv", None),
    "movielens": (lambda folder: formats.movielens(folder, False), "ratings.csv", None),
    "open_bandit": (formats.open_bandit, "bts/men/men.csv", "bts/men"),
}
"""How to write each source, the file of its log, and the part to read."""


def read(source, folder):
    return sources.read(source, folder, WRITTEN[source][2])


@pytest.fixture(params=WRITTEN)
def source(request):
    return request.param


@pytest.fixture
def log(source, tmp_path):
    """The file of the log, among the source's files."""
    return WRITTEN[source][0](tmp_path) / WRITTEN[source][1]


def refused(source, folder):
    with pytest.raises(InvalidInput) as error:
        read(source, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_half_a_file(source, log, tmp_path):
    log.write_bytes(log.read_bytes()[:-3])
    assert re.search(re.escape(log.name) + r"'?=?.*half a file", refused(source, tmp_path))


def test_an_empty_file(source, log, tmp_path):
    log.write_bytes(b"")
    assert "must not be empty" in refused(source, tmp_path)


def test_no_file(source, log, tmp_path):
    log.unlink()
    actual = refused(source, tmp_path)
    assert log.name in actual or "must hold a file log_standard_*.csv" in actual


def test_no_folder(source, tmp_path):
    assert "must be a folder with the files" in refused(source, tmp_path / "none")


def test_a_column_that_is_missing(source, log, tmp_path):
    if source == "mind":  # its files name no columns
        log.write_text("U1\t11/11/2019 9:05:58 AM\t\tN3-1\n")
        assert "no row of the log can be used; left out were 1 rows with too few" in refused(source, tmp_path)
        return
    head, rest = log.read_text().split("\n", 1)
    column = {"kuairand": "time_ms", "kuairec": "play_duration", "movielens": "timestamp"}.get(source, "item_id")
    log.write_text(head.replace(column, "other") + "\n" + rest)
    actual = refused(source, tmp_path)
    assert f"{log}='{column}': is a column that it must have; it has " in actual


def test_no_row_that_can_be_used(source, log, tmp_path):
    head = log.read_text().split("\n", 1)[0]
    separator = "\t" if source == "mind" else ","
    fields = head.count(separator) + 1
    first = [] if source == "mind" else [head]
    log.write_text("\n".join([*first, separator.join(["x"] * fields)]) + "\n")
    if source == "kuairand":  # which has another log
        (tmp_path / "data" / "log_random_4_22_to_5_08_pure.csv").unlink()
        actual = refused(source, tmp_path)
    else:
        actual = refused(source, tmp_path)
    assert "no row of the log can be used; left out were 1 rows without" in actual


@pytest.mark.parametrize(
    ("score", "message"),
    [("0.0", r"log\.propensity='0\.0 in row 1': must be in \(0, 1\], or missing; 1 of 3"), ("1.5", "1.5 in row 1")],
)
def test_a_propensity_that_cannot_be(tmp_path, score, message):
    path = formats.open_bandit(tmp_path) / "bts" / "men" / "men.csv"
    path.write_text(path.read_text().replace(",0.25,", f",{score},"))
    assert re.search(message, refused("open_bandit", tmp_path))


def test_a_click_that_is_none(tmp_path):
    path = formats.open_bandit(tmp_path) / "bts" / "men" / "men.csv"
    path.write_text(path.read_text().replace(",3,1,0.25", ",3,2,0.25"))
    assert "must be 0 or 1" in refused("open_bandit", tmp_path)


def test_news_without_feedback_alone(tmp_path):
    formats.mind(tmp_path)
    formats.lines(tmp_path / "behaviors.tsv", "1\tU1\t11/11/2019 9:05:58 AM\t\tN3 N4")
    assert "no row of the log can be used; left out were 2 impressions without feedback" in refused("mind", tmp_path)


def test_unknown_sources_and_parts(tmp_path):
    with pytest.raises(InvalidInput, match=r"dataset.source='netflix': must be one of interestlab, kuairand"):
        sources.read("netflix", tmp_path)
    with pytest.raises(InvalidInput, match=r"dataset.part='middle': must be null or one of big, small"):
        sources.read("kuairec", tmp_path, "middle")
    with pytest.raises(InvalidInput, match=r"dataset.part='x': must be null: movielens has one part"):
        sources.read("movielens", tmp_path, "x")


def test_what_is_no_number():
    actual = numbers(pa.array(["1", "-2.5", "1e3", "nan", "inf", "", None, "1,5", "0x1", "1650485801301"]))
    np.testing.assert_array_equal(actual, [1, -2.5, 1000, *[np.nan] * 6, 1650485801301])


def test_a_text_that_is_not_in_its_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes("name\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"a\.csv"):
        list(text_blocks(tmp_path / "a.csv", ["name"], Counter()))
