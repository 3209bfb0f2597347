"""``interestlab dataset``: logged data sets from and to other people's formats, and what is in them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from experiments.dataset.figures import histories_figure
from experiments.dataset.histories import histories_lines, histories_of
from experiments.datasets import sources
from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.minari_log import write_log
from experiments.reporting.figures.files import save_figure
from experiments.stages.stages import check_cache_dir
from experiments.study.study import check_study, resolved
from sim.errors import InvalidInput
from sim.files import write_json
from sim.log import SOURCE_NAMES
from sim.records import from_mapping, record

WORLD = "world"
"""Value of ``dataset.compare``: the burn-in's log of the simulated world."""


@record
@dataclass(frozen=True)
class Order:
    """``dataset`` of conf/dataset.yaml, which says what each entry means, checked."""

    source: sources.Source
    folder: str | None
    part: str | None
    name: str | None
    export: sources.Export
    to: str | None
    minari: str
    compare: str | None


def check_order(config: DictConfig, folder: Path) -> Order:
    """The order in a config, or ``InvalidInput``; ``folder`` is where the run's files go."""
    order = from_mapping(Order, resolved(config.dataset, "dataset"), "dataset")
    if order.folder is None and order.source != sources.OWN:
        raise InvalidInput("dataset.folder", None, f"must be the folder with the files of {order.source}")
    if order.compare == WORLD and order.folder is None and order.part is None:
        raise InvalidInput("dataset.compare", WORLD, "must be a folder: the data set is the world's burn-in already")
    if order.export == "minari":
        return order
    place = str(folder / "dataset") if order.to is None else order.to
    is_new = not Path(place).expanduser().exists()
    to = check_cache_dir(place, "dataset.to")
    if is_new:
        to.rmdir()  # there may be nothing to write yet: the source is not read
    return replace(order, to=str(to))


def dataset(config: DictConfig, folder: Path) -> tuple[dict[str, Any], Order]:
    """Read a data set, write it, and write ``summary.json`` into ``folder``.

    Returns:
        What summary.json holds, and the order.

    Raises:
        InvalidInput: a setting or the input is wrong.
    """
    order = check_order(config, folder)
    other = _compared(config, order)
    data = (
        _simulated(config, order.part)
        if order.folder is None
        else sources.read(order.source, Path(order.folder), order.part)
    )
    if order.name is not None:
        data = replace(data, name=order.name)
    lost = export(data, order)
    records = histories_of([data, *other])
    facts = {**summary(data), "export": order.export, "not_exported": lost, "histories": records}
    write_json(folder / "summary.json", facts)
    return facts, order


def _compared(config: DictConfig, order: Order) -> list[LoggedDataset]:
    """The data set that is put next to the order's, if there is one."""
    if order.compare is None:
        return []
    if order.compare == WORLD:
        return [_simulated(config, None)]
    place = Path(order.compare).expanduser()
    if not (place / "dataset.json").is_file():
        expected = f"must be null, {WORLD}, or a folder with dataset.json, as this command writes with export=parquet"
        raise InvalidInput("dataset.compare", order.compare, expected)
    return [LoggedDataset.read(place)]


def _simulated(config: DictConfig, arm: str | None) -> LoggedDataset:
    """The log of a simulated world; what it takes is imported here, as files need none of it."""
    from experiments.datasets.simulated import arm_dataset, burn_in_dataset

    study = check_study(config)
    return burn_in_dataset(study) if arm is None else arm_dataset(study, config, arm)


def export(data: LoggedDataset, order: Order) -> dict[str, int]:
    """Write the data set; reason -> rows that the format could not carry."""
    if order.export == "parquet":
        data.write(Path(str(order.to)))
        return {}
    if order.export == "minari":
        return write_log(data, order.minari)
    return sources.WRITERS[order.export](data, Path(str(order.to)))


def summary(data: LoggedDataset) -> dict[str, Any]:
    """What is in a data set, in numbers."""
    log = data.log
    days = int(log.day[-1]) - int(log.day[0]) + 1 if len(log) else 0
    known = ~np.isnan(log.propensity)
    return {
        "name": data.name,
        "source": data.source,
        "users": data.num_users,
        "items": data.catalog.num_items,
        "clusters": data.clusters.num_clusters,
        "impressions": len(log),
        "days": days,
        "positive_rate": float(log.positive.mean()) if len(log) else None,
        "consumed_rate": float(log.consumed.mean()) if len(log) else None,
        "rows_with_propensity": int(known.sum()),
        "sources": {name: int((log.source == source).sum()) for source, name in enumerate(SOURCE_NAMES)},
        "has": {"watch": data.has_watch, "propensity": data.has_propensity, "negatives": data.has_negatives},
        "left_out": dict(data.left_out),
    }


def lines(facts: dict[str, Any], order: Order) -> list[tuple[str, str]]:
    """A summary for people."""
    has = facts["has"]
    rate = facts["positive_rate"]
    share = facts["rows_with_propensity"] / max(facts["impressions"], 1)
    shown = [(name, f"{facts[name]:,}") for name in ("users", "items", "clusters", "impressions", "days")]
    shown.append(("positive rate", "none" if rate is None else f"{100 * rate:.2f} %"))
    if not has["negatives"]:
        shown[-1] = ("positive rate", f"{shown[-1][1]} of what was consumed: nothing else was logged")
    shown.append(("watch time", "logged" if has["watch"] else "not logged"))
    shown.append(("propensities", f"of {100 * share:.1f} % of impressions" if has["propensity"] else "unknown"))
    if facts["source"] == sources.OWN:
        shown.append(("impressions by", ", ".join(f"{name} {num:,}" for name, num in facts["sources"].items() if num)))
    shown += histories_lines(facts["histories"])
    shown += [("left out", f"{count:,} {reason}") for reason, count in facts["left_out"].items()] or [
        ("left out", "nothing")
    ]
    shown += [("not exported", f"{count:,} {reason}") for reason, count in facts["not_exported"].items()]
    where = order.minari if order.export == "minari" else str(Path(str(order.to)).resolve())
    return [("data set", facts["name"]), *shown, (facts["export"], where)]


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    facts, order = dataset(config, folder)
    save_figure(histories_figure(facts["histories"]), folder, "histories")
    for what, value in lines(facts, order):
        print(f"{what:14} {value}")
