import json
from functools import partial

import pytest

from experiments.stages.stages import check_cache_dir, run_stage
from sim.errors import InvalidInput


def stage(cache, make, config=1, inputs=()):
    make.__module__ = "sim.random"  # as if it stood there: tests are no source of a stage
    return run_stage(cache, "demo", make, config=config, inputs=list(inputs))


def test_a_stage_is_made_once_and_then_read_from_the_cache(tmp_path):
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "out").write_text("x")

    first, second = stage(tmp_path, make), stage(tmp_path, make)
    assert len(calls) == 1
    assert not first.cached
    assert second.cached
    assert first.folder == second.folder
    assert (second.folder / "out").read_text() == "x"


@pytest.mark.parametrize("change", [{"config": 2}, {"inputs": ["abc"]}])
def test_another_config_or_input_is_another_stage(tmp_path, change):
    first = stage(tmp_path, lambda folder: None)
    assert stage(tmp_path, lambda folder: None, **change).folder != first.folder


def test_a_failed_stage_leaves_no_whole_folder_and_its_checkpoints_stay(tmp_path):
    def fails(folder):
        (folder / "checkpoint").write_text("half way")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        stage(tmp_path, fails)
    assert not [f for f in (tmp_path / "stages").iterdir() if f.is_dir() and not f.name.endswith(".partial")]
    seen = []
    stage(tmp_path, lambda folder: seen.append((folder / "checkpoint").read_text()))
    assert seen == ["half way"]


def test_seconds_are_kept_next_to_the_stage_not_in_it(tmp_path):
    made = stage(tmp_path, lambda folder: None)
    assert json.loads((made.folder / "seconds.json").read_text())["seconds"] == made.seconds >= 0


def test_a_cache_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cache_dir="):
        check_cache_dir(str(tmp_path / "file" / "below"))


def test_a_partly_given_function_rests_on_where_the_function_stands(tmp_path):
    def make(number, folder):
        (folder / "out").write_text(str(number))

    make.__module__ = "sim.random"
    made = run_stage(tmp_path, "demo", partial(make, 7), config=1, inputs=[])
    assert (made.folder / "out").read_text() == "7"
    assert made.digest == stage(tmp_path, lambda folder: None).digest
