import numpy as np
import pytest

import agents.llm.finetune
from agents.llm.curation import curate, split_by_pair
from agents.llm.finetune import finetune, rate_at
from sim.errors import InvalidInput
from sim.random import RandomStream

RNG = RandomStream(5, "fine-tuning")


@pytest.fixture
def data(transitions):
    kept, held_out = split_by_pair(transitions, 0.2, RNG)
    return curate(kept, 10, 10, "diversified", RNG), held_out


class Killed(Exception):
    pass


def kill_at(monkeypatch, fatal_step):
    """Let the run die in the middle of a step."""
    update = agents.llm.finetune._Run._update

    def dying(self, step):
        if step == fatal_step:
            raise Killed
        return update(self, step)

    monkeypatch.setattr(agents.llm.finetune._Run, "_update", dying)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(("method", "precision"), [("full", "fp32"), ("full", "bf16"), ("lora", "fp32")])
def test_killed_and_restarted_ends_with_the_same_bytes(
    small_weights, clusters, data, make_settings, tmp_path, monkeypatch, method, precision
):
    settings = make_settings(
        method=method, precision=precision, steps=5, checkpoint_every=2, learning_rate=0.01, micro_batch_size=2
    )
    run = lambda folder: finetune(small_weights, clusters, *data, settings, folder, RNG)  # noqa: E731
    run(tmp_path / "whole")
    for fatal_step in (2, 4, 5):  # before the first checkpoint, and after some evaluations
        with monkeypatch.context() as patch:
            kill_at(patch, fatal_step)
            with pytest.raises(Killed):
                run(tmp_path / "killed")
    run(tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not list((tmp_path / "whole").glob("best-*"))


def test_killed_while_it_throws_its_checkpoint_away(small_weights, clusters, data, make_settings, tmp_path):
    run = lambda: finetune(small_weights, clusters, *data, make_settings(steps=1), tmp_path, RNG)  # noqa: E731
    run()
    whole = contents(tmp_path)
    (tmp_path / "checkpoint" / "step-000001").mkdir(parents=True)
    (tmp_path / "best-000000.safetensors").write_bytes(b"")
    run()
    assert contents(tmp_path) == whole
    assert not (tmp_path / "checkpoint").exists()


def test_truncated_checkpoint_is_named(small_weights, clusters, data, make_settings, tmp_path, monkeypatch):
    settings = make_settings(steps=4)
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        with pytest.raises(Killed):
            finetune(small_weights, clusters, *data, settings, tmp_path, RNG)
    file = tmp_path / "checkpoint" / "step-000002" / "exp_avg.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidInput, match=r"exp_avg\.safetensors.*delete .*step-000002"):
        finetune(small_weights, clusters, *data, settings, tmp_path, RNG)


def test_a_folder_belongs_to_one_run(small_weights, clusters, data, make_settings, tmp_path):
    finetune(small_weights, clusters, *data, make_settings(steps=0), tmp_path, RNG)
    with pytest.raises(InvalidInput, match="another fine-tuning run"):
        finetune(small_weights, clusters, *data, make_settings(steps=1), tmp_path, RNG)


def test_twin_has_other_weights_and_the_same_shape(small_weights, clusters, data, make_settings, tmp_path):
    from safetensors.numpy import load_file

    def tensors(name, **changes):
        model = finetune(small_weights, clusters, *data, make_settings(steps=0, **changes), tmp_path / name, RNG)
        return load_file(model / "model.safetensors")

    untouched, twin = tensors("untouched"), tensors("twin", random_weights=True)
    original = load_file(small_weights / "model.safetensors")
    assert all((untouched[name] == original[name]).all() for name in original)
    assert {n: t.shape for n, t in twin.items()} == {n: t.shape for n, t in original.items()}
    assert any((twin[name] != original[name]).any() for name in original)


def test_steps_need_samples(small_weights, clusters, data, make_settings, tmp_path, transitions):
    nothing = curate(transitions.where(np.zeros(0, int)), 10, 10, "diversified", RNG)
    with pytest.raises(InvalidInput, match="no novel transitions"):
        finetune(small_weights, clusters, nothing, data[1], make_settings(), tmp_path, RNG)


def test_rate_goes_up_then_down():
    rates = [rate_at(step, 4, 20) for step in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[-1] == pytest.approx(0.1)
    assert (np.diff(rates[3:]) <= 0).all()
