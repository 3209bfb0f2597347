"""Trackers: scalars of a running experiment for TensorBoard, MLflow or Weights & Biases (``conf/tracker``).

A tracker changes nothing in a run: it is no part of any hash, nor of ``results.json``. A run that was
killed and started again reports all days to its tracker from the first on, most of them from its cache;
reports of the killed run in the same folder are replaced, so that no day stands twice.
"""

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from hydra.utils import instantiate

from experiments.study.described import flat
from sim.errors import InvalidInput


class Tracker(Protocol):
    """Whatever scalars go to; made as ``TrackerClass(folder=..., config=..., **entries_of_conf)``."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take values of a step: a day of the A/B, or a step of fine-tuning. Names are ``METRIC/ARM``."""

    def finish(self, artifacts: Sequence[Path]) -> None:
        """The run is done; files that it left behind."""


class Untracked:
    """No tracker."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Nothing to keep."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Ignored."""

    def finish(self, artifacts: Sequence[Path]) -> None:
        """Ignored."""


class TensorBoard:
    """Event files in ``tensorboard/`` of the run's folder."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """``config`` is not written: ``results.json`` in the same folder holds it."""
        _need("tensorboard", "tracking")
        from torch.utils.tensorboard import SummaryWriter

        place = folder / "tensorboard"
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer: Any = SummaryWriter(str(place))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Written through at once, so that a running experiment can be looked at."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, artifacts: Sequence[Path]) -> None:
        """Files stay where they are."""
        self._writer.close()


class MLflow:
    """A run of an MLflow experiment, in a store of one's own or on a server."""

    def __init__(self, folder: Path, config: Mapping[str, Any], uri: str, experiment: str) -> None:
        """Begin a run, called as its folder, in place of an earlier one of the same folder.

        Args:
            folder, config: the run's; entries become parameters.
            uri: of the store, such as ``sqlite:////data/mlflow.db`` or a server's address; empty: ``mlflow.db`` in the
                folder that ``folder`` lies in, which jobs of a sweep share.
            experiment: its name.
        """
        _need("mlflow", "mlflow")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        folder_above = folder.resolve().parent
        self._client: Any = MlflowClient(tracking_uri=uri or f"sqlite:///{folder_above / 'mlflow.db'}")
        known = self._client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self._client.create_experiment(
            experiment, artifact_location=None if uri else (folder_above / "mlflow").as_uri()
        )  # fmt: skip
        for old in self._client.search_runs([number], filter_string=f"tags.folder = '{folder.resolve()}'"):
            self._client.delete_run(old.info.run_id)
        run = self._client.create_run(number, run_name=folder.name, tags={"folder": str(folder.resolve())})
        self._run = run.info.run_id
        entries = [Param(key, str(value)[:500]) for key, value in flat(config)]
        for start in range(0, len(entries), 100):  # as many as MLflow takes at once
            self._client.log_batch(self._run, params=entries[start : start + 100])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One request a step and value."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step)

    def finish(self, artifacts: Sequence[Path]) -> None:
        """Copy the files into the store."""
        for path in artifacts:
            self._client.log_artifact(self._run, str(path))
        self._client.set_terminated(self._run)


class WandB:
    """A run of Weights & Biases; offline, ``wandb sync`` takes it to the server later."""

    def __init__(self, folder: Path, config: Mapping[str, Any], project: str, mode: str) -> None:
        """Begin a run in a project, ``mode`` ``offline`` (in place of an earlier one of the same folder) or ``online``.

        Raises:
            InvalidInput: neither.
        """
        if mode not in ("offline", "online"):
            raise InvalidInput("tracker.mode", mode, "must be offline or online")
        _need("wandb", "wandb")
        import wandb

        for old in folder.glob("wandb/offline-run-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off")
        self._run: Any = wandb.init(
            project=project, dir=str(folder), mode=mode, name=folder.name, config=dict(config), settings=settings
        )
        self._run.define_metric("*", step_metric="step")  # arms live side by side: days come in no order

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One row a call."""
        self._run.log({"step": step, **values})

    def finish(self, artifacts: Sequence[Path]) -> None:
        """Hand over the files as an artifact."""
        import wandb

        kept = wandb.Artifact("report", type="results")
        for path in artifacts:
            kept.add_file(str(path))
        self._run.log_artifact(kept)
        self._run.finish()


def make_tracker(entries: Mapping[str, Any] | None, folder: Path, config: Mapping[str, Any]) -> Tracker:
    """The tracker that ``conf/tracker`` names; none where a command's config has none.

    Raises:
        InvalidInput: it cannot be made: its package is not installed, or its entries are not right.
    """
    if entries is None:
        return Untracked(folder, config)
    try:
        tracker: Tracker = instantiate({**entries, "_partial_": True})(folder=folder, config=config)
    except InvalidInput:
        raise
    except Exception as error:  # whatever a tracker's package, or its server, may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InvalidInput("tracker", entries.get("_target_"), f"could not be made: {reason[:300]}") from None
    return tracker


def track_curve(tracker: Tracker, arm: str, curve: Sequence[Mapping[str, Any]]) -> None:
    """Pass on a fine-tuning curve (``agents.llm.curve``), whose steps are updates."""
    for point in curve:
        known = {f"fine_tuning/{key.replace('.', '/')}/{arm}": value for key, value in flat(point) if key != "step"}
        tracker.scalars(point["step"], {name: value for name, value in known.items() if value is not None})


def _need(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise InvalidInput("tracker", package, f"is not installed: pip install 'interestlab[{extra}]'")
