"""Trackers: reported values are read back, each step once, and results do not depend on them."""

import json

import pytest

from experiments.live.tracking import TensorBoard, Untracked, make_tracker, track_curve
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose

CONFIG = {"seed": 3, "world": {"num_users": 150}}
STEPS = {1: 0.25, 2: 0.5, 3: 1.5}


def chosen(name, *overrides):
    return compose("compare", [f"tracker={name}", *overrides]).tracker


def reported(tracker, steps=STEPS):
    """Tell it the steps, in no order: arms live side by side."""
    for step in sorted(steps, key=lambda step: step % 3):
        tracker.scalars(step, {"watch/llm": steps[step], "watch/control": -steps[step]})
    return tracker


def tensorboard_of(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    actual = accumulator.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    actual.Reload()
    return {tag: sorted((each.step, each.value) for each in actual.Scalars(tag)) for tag in actual.Tags()["scalars"]}


def test_tensorboard_is_read_back_and_a_second_start_replaces_the_first(tmp_path):
    pytest.importorskip("tensorboard")
    reported(make_tracker(chosen("tensorboard"), tmp_path, CONFIG), {1: 0.25})  # killed after a day
    reported(make_tracker(chosen("tensorboard"), tmp_path, CONFIG)).finish([])
    assert tensorboard_of(tmp_path) == {
        "watch/llm": sorted(STEPS.items()),
        "watch/control": sorted((step, -value) for step, value in STEPS.items()),
    }


def test_a_fine_tuning_curve_is_flat_and_leaves_out_what_is_unknown(tmp_path):
    pytest.importorskip("tensorboard")
    tracker = make_tracker(chosen("tensorboard"), tmp_path, CONFIG)
    curve = [
        {"step": 0, "match_rate": 0.0, "held_out": {"recall@10": None}, "held_out_loss": 3.5},
        {"step": 20, "match_rate": 0.75, "held_out": {"recall@10": 0.5}, "held_out_loss": 2.5},
    ]
    track_curve(tracker, "llm", curve)
    tracker.finish([])
    assert tensorboard_of(tmp_path) == {
        "fine_tuning/match_rate/llm": [(0, 0.0), (20, 0.75)],
        "fine_tuning/held_out/recall@10/llm": [(20, 0.5)],
        "fine_tuning/held_out_loss/llm": [(0, 3.5), (20, 2.5)],
    }


def test_mlflow_has_one_run_a_folder_with_its_settings_and_files(tmp_path):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    (tmp_path / "report.html").write_text("<p>")
    for folder in ("0", "1"):
        reported(make_tracker(chosen("mlflow"), tmp_path / folder, CONFIG), {1: 0.25})  # killed
    reported(make_tracker(chosen("mlflow"), tmp_path / "1", CONFIG)).finish([tmp_path / "report.html"])
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    number = client.get_experiment_by_name("interestlab").experiment_id
    runs = {run.data.tags["folder"]: run for run in client.search_runs([number])}
    assert set(runs) == {str(tmp_path / "0"), str(tmp_path / "1")}
    run = runs[str(tmp_path / "1")]
    history = client.get_metric_history(run.info.run_id, "watch/llm")
    assert sorted((each.step, each.value) for each in history) == sorted(STEPS.items())
    assert run.data.params == {"seed": "3", "world.num_users": "150"}
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["report.html"]
    assert run.info.status == "FINISHED"


def test_wandb_offline_is_read_back_and_a_second_start_replaces_the_first(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "report.html").write_text("<p>")
    reported(make_tracker(chosen("wandb"), tmp_path / "run", CONFIG), {1: 0.25}).finish([tmp_path / "report.html"])
    reported(make_tracker(chosen("wandb"), tmp_path / "run", CONFIG)).finish([tmp_path / "report.html"])
    (place,) = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    rows = wandb_history(place)
    assert sorted((row["step"], row["watch/llm"]) for row in rows) == sorted(STEPS.items())


def wandb_history(path):
    """Rows of a W&B file: a header of 7 bytes, then LevelDB's log format (blocks of 32 kB, records of 7 + n bytes)."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole, rows = path.read_bytes(), 7, b"", []
    while place < len(data):
        if 32768 - place % 32768 < 7:  # no header fits into what is left of the block
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record, whole = wandb_internal_pb2.Record.FromString(whole), b""
            if record.WhichOneof("record_type") == "history":
                rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
    return rows


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_says_how_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.live.tracking.find_spec", lambda package: None)
    with pytest.raises(InvalidInput, match=rf"{name}.*is not installed: pip install 'interestlab\["):
        make_tracker(chosen(name), tmp_path, CONFIG)


def test_a_tracker_that_cannot_be_made_is_one_line(tmp_path):
    with pytest.raises(InvalidInput, match=r"tracker='no\.such\.Tracker': could not be made"):
        make_tracker({"_target_": "no.such.Tracker"}, tmp_path, CONFIG)
    with pytest.raises(InvalidInput, match=r"tracker\.mode='loud': must be offline or online"):
        make_tracker(chosen("wandb", "tracker.mode=loud"), tmp_path, CONFIG)
    assert isinstance(make_tracker(None, tmp_path, CONFIG), Untracked)
    assert isinstance(make_tracker(chosen("none"), tmp_path, CONFIG), Untracked)


@pytest.mark.slow
def test_tracking_changes_no_result_and_a_run_from_the_cache_is_tracked_whole(tmp_path):
    pytest.importorskip("tensorboard")

    def compare(out, *words):
        small = ["world=tiny", "experiment.arms=[control,random]", "experiment.reference=control"]
        small += ["world.num_users=60", "experiment.burn_in_days=2", "experiment.days=3", "runtime.workers=2"]
        done = interestlab("compare", *small, f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={out}", *words)
        assert done.returncode == 0, done.stderr
        return done.stderr

    shown = compare(tmp_path / "plain")
    assert sum("watched" in line for line in shown.replace("\r", "\n").splitlines()) == 2 * 3
    compare(tmp_path / "tracked", "tracker=tensorboard")  # all of it from the cache
    assert (tmp_path / "tracked" / "results.json").read_bytes() == (tmp_path / "plain" / "results.json").read_bytes()
    actual = tensorboard_of(tmp_path / "tracked")
    results = json.loads((tmp_path / "plain" / "results.json").read_text())
    for arm in ("control", "random"):
        daily = actual[f"watch_minutes_per_user_day/{arm}"]
        assert [step for step, _ in daily] == [1, 2, 3]
        mean = results["arms"][arm]["watch_minutes_per_user_day"]["value"]
        assert sum(value for _, value in daily) / 3 == pytest.approx(mean, rel=1e-5)


def test_tensorboard_is_the_class_that_the_config_names(tmp_path):
    pytest.importorskip("tensorboard")
    tracker = make_tracker(chosen("tensorboard"), tmp_path, CONFIG)
    assert isinstance(tracker, TensorBoard)
    tracker.finish([])
