"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from sim.files import folder_written_whole, written_whole


def test_a_file_appears_when_it_is_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    """Until the block ends there is nothing under the final name."""
    path = tmp_path / "new" / "numbers.csv"
    with written_whole(path) as temporary:
        temporary.write_text("1,2")
        assert not path.exists()
    assert path.read_text() == "1,2"
    assert [file.name for file in path.parent.iterdir()] == ["numbers.csv"]


@pytest.mark.parametrize("many_writers", [False, True])
def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path, many_writers: bool) -> None:
    """What was there before stays as it was."""
    path = tmp_path / "numbers.csv"
    path.write_text("old")

    def fail_half_way() -> None:
        with written_whole(path, many_writers) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    """Its temporary file is neither in the way nor left behind."""
    path = tmp_path / "numbers.csv"
    with written_whole(path) as temporary:
        temporary.write_text("older")
    temporary.write_text("a half that a killed process left")
    with written_whole(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_concurrent_writers_do_not_overwrite_each_others_temporary_files(tmp_path: Path) -> None:
    """Each has a temporary name of its own; the last to end is what stays."""
    path = tmp_path / "shard"
    with written_whole(path, many_writers=True) as first:
        first.write_text("first")
        with written_whole(path, many_writers=True) as second:
            assert second != first
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


def test_a_folder_appears_when_it_is_whole_over_what_a_killed_process_left(tmp_path: Path) -> None:
    """A half that was left under either name goes, with all that it held."""
    for left in ("state", "state.tmp"):
        (tmp_path / left / "old").mkdir(parents=True)
    with folder_written_whole(tmp_path / "state") as unfinished:
        assert list(unfinished.iterdir()) == []
        (unfinished / "new").mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["state", "new"]
