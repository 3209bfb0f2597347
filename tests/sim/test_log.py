from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sim.errors import InvalidInput
from sim.log import DTYPES, NOT_ASKED, InteractionLog, check_order


def log_of(num, seed=0):
    generator = np.random.default_rng(seed)
    return InteractionLog(**{n: generator.integers(0, 2, num).astype(t) for n, t in DTYPES.items()})


@st.composite
def logs(draw):
    num = draw(st.integers(0, 20))
    return InteractionLog(**{n: draw(hnp.arrays(t, num)) for n, t in DTYPES.items()})


@given(logs())
@settings(max_examples=30, deadline=None)
def test_parquet_keeps_every_bit_and_type(tmp_path_factory, log):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    log.write(path)
    read = InteractionLog.read(path)
    for name, dtype in DTYPES.items():
        assert getattr(read, name).dtype == dtype
        np.testing.assert_array_equal(getattr(read, name), getattr(log, name))
    assert read.digest() == log.digest()
    assert not list(path.parent.glob("*.tmp"))


def test_different_logs_have_different_digests():
    log = log_of(5)
    other = log.where(np.arange(5))
    assert other.digest() == log.digest()
    other.watch_seconds[3] += 1
    assert other.digest() != log.digest()


def test_rows_are_selected_and_joined_in_order():
    log = log_of(6)
    parts = [log.where(np.array([True] * 2 + [False] * 4)), log.where(np.arange(2, 6))]
    assert InteractionLog.concatenate(parts).digest() == log.digest()
    empty = InteractionLog.concatenate([])
    assert len(empty) == 0
    assert empty.propensity.dtype == np.float32


def test_items_are_refiled():
    log = log_of(6)
    refiled = log.with_clusters(np.array([7, 9]))
    np.testing.assert_array_equal(refiled.cluster, np.array([7, 9])[log.item])
    np.testing.assert_array_equal(refiled.user, log.user)


def test_columns_must_have_the_same_length():
    columns = {n: np.zeros(3, t) for n, t in DTYPES.items()}
    with pytest.raises(InvalidInput, match=r"log\.slot=2: must have 3 rows"):
        InteractionLog(**{**columns, "slot": np.zeros(2, np.int32)})


@pytest.mark.parametrize("column", [name for name in DTYPES if name != "survey"])
def test_a_missing_column_is_named(tmp_path, column):
    path = tmp_path / "log.parquet"
    log_of(3).write(path)
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(InvalidInput, match=f"must have a column '{column}'"):
        InteractionLog.read(path)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("user", pa.array(["a", "b", "c"])),
        ("user", pa.array([1, None, 2])),
        ("day", pa.array([1, 2, 3], pa.int64())),
        ("positive", pa.array([1, 0, 1])),
        ("liked", pa.array([True, None, False])),
        ("watch_seconds", pa.array([1.0, 2.0, 3.0], pa.float64())),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path, column, values):
    path = tmp_path / "log.parquet"
    log_of(3).write(path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(column), column, values), path)
    with pytest.raises(InvalidInput, match=f"column '{column}' must be"):
        InteractionLog.read(path)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / "log.parquet"
    log_of(1000).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(InvalidInput, match="must be a readable Parquet file"):
        InteractionLog.read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"nothing\.parquet"):
        InteractionLog.read(tmp_path / "nothing.parquet")


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4), max_size=6))
@settings(deadline=None)
def test_order_is_by_day_step_user_and_slot_and_no_place_is_taken_twice(places):
    columns = dict(zip(("day", "step", "user", "slot"), np.array(places).reshape(-1, 4).T, strict=True))
    log = InteractionLog(**{**vars(log_of(len(places))), **columns})
    if places == sorted(set(places)):
        check_order(log)
        return
    with pytest.raises(InvalidInput, match="row") as error:
        check_order(log)
    back = places != sorted(places)
    pairs = list(pairwise(places))
    wrong = [row for row, (one, two) in enumerate(pairs, 1) if (two < one if back else two == one)]
    assert ("go backwards" if back else "stand twice") in str(error.value)
    assert f"in row {wrong[0]}'" in str(error.value)
    assert f"; {len(wrong)} of {len(places)} rows" in str(error.value)


def test_a_log_from_before_the_survey_is_read_with_a_line_on_what_is_missing(tmp_path, capfd):
    log = log_of(5)
    log.write(tmp_path / "log.parquet")
    table = pq.read_table(tmp_path / "log.parquet").drop_columns(["survey"])
    pq.write_table(table, tmp_path / "old.parquet")
    old = InteractionLog.read(tmp_path / "old.parquet")
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("old.parquet: has no column 'survey', as logs had none before; read as if nobody was asked")
    assert (old.survey == NOT_ASKED).all()
    assert (old.item == log.item).all()
