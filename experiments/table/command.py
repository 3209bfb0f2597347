"""``interestlab table``: the language model's table alone, from burn-in to bulk inference."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from omegaconf import DictConfig

from agents.llm.parquet import write_parquet
from agents.llm.triples import open_table
from experiments.live import pipeline
from experiments.llm.arms import check_llm
from experiments.llm.stages import TableMade, check_ready, make_table
from experiments.llm.table_parts import refresh_table, share_table
from experiments.measures.results import plain
from experiments.stages.stages import Stage, check_cache_dir
from experiments.study.study import check_study, resolved
from sim.errors import InvalidInput
from sim.files import write_json
from sim.records import Expected, checked


@dataclass(frozen=True)
class TableOptions:
    """Entries of ``conf/table.yaml`` in addition to a comparison's settings, checked.

    Attributes:
        parquet: of the exported file; None = no export.
        share: (i, n), of the shards; None = all.
        refresh: whether to start from an earlier table.
        source: that table's folder; None = the newest in the cache.
    """

    parquet: Path | None
    share: tuple[int, int] | None
    refresh: bool
    source: str | None


_Given = bool | Annotated[str, MinLen(1)]
_Exported = Annotated[_Given, Expected("must be true, false, or the path of a file")]
_Earlier = Annotated[_Given, Expected("must be true, false, or the folder of an earlier table")]


def check_options(config: DictConfig, folder: Path) -> TableOptions:
    """Read the options, or raise ``InvalidInput``; ``table.parquet=true`` means a file in ``folder``."""
    parquet, shard, refresh = config.table.parquet, config.shard, config.refresh
    checked(_Exported, parquet, "table.parquet")
    path = folder / "table.parquet" if parquet is True else Path(parquet).expanduser() if parquet else None
    if path is not None and (path.is_dir() or not (path.parent.is_dir() or path.parent == folder)):
        raise InvalidInput("table.parquet", str(parquet), "must be the path of a file in a folder that exists")
    if path is not None:
        check_cache_dir(str(path.parent), "table.parquet")
    checked(_Earlier, refresh, "refresh")
    share = None
    if shard is not None:
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", str(shard))
        share = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= share[0] <= share[1]:
            raise InvalidInput("shard", shard, "must be i/n with 1 <= i <= n, such as 2/4, or null")
        for name, value in (("table.parquet", parquet), ("refresh", refresh)):
            if value is not False:
                raise InvalidInput(name, value, "must be false with shard=i/n, which makes only a part of a table")
    return TableOptions(path, share, bool(refresh), refresh if isinstance(refresh, str) else None)


def table(config: DictConfig, folder: Path) -> None:
    """Make the table, or a share of it, write ``table.json`` into ``folder``, and print a summary."""
    options = check_options(config, folder)
    study = check_study(config)
    settings = check_llm(resolved(config.get("llm"), "llm"))
    check_ready(settings, study.cache_dir)  # so that a missing model is reported before the burn-in
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    stages = {"burn-in": before, "clusters": clustered}
    begun = time.monotonic()
    if options.share is not None and not share_table(study, settings, clustered, options.share):
        number, num_shares = options.share
        write_json(
            folder / "table.json",
            {"share": [number, num_shares], "whole": False, "seconds": _seconds(stages, begun)},
        )
        print(f"share {number} of {num_shares} is done; others are not, or run `interestlab table` to make the table")
        return
    if options.refresh:
        made = refresh_table(study, settings, before, clustered, options.source)
    else:
        made = make_table(study, settings, clustered)
    if made.tuned is not None:
        stages["finetune"] = made.tuned
    stages["table"] = made.table
    files = [] if options.parquet is None else write_parquet(open_table(made.table.folder / "table"), options.parquet)
    about = describe(made, files) | {
        "seconds": _seconds(stages, begun),
        "from_cache": [name for name, stage in stages.items() if stage.cached],
    }
    write_json(folder / "table.json", plain(about))
    _say(about)


def describe(made: TableMade, files: list[Path]) -> dict[str, Any]:
    """What ``table.json`` says of a table and of the files that it was exported to, but for the seconds."""
    folder = made.table.folder / "table"
    table = open_table(folder)
    manifest = table.manifest
    digests = {name: value for name, value in manifest["inputs"].items() if name.endswith("_digest")}
    return {
        "whole": True,
        "table": str(folder.resolve()),
        "parquet": [str(path.resolve()) for path in files],
        "num_clusters": table.num_clusters,
        "past_clusters": table.past_clusters,
        "rows": len(table.clusters),
        "top_n": manifest["top_n"],
        "label_skew": manifest["labels"],
        "cost": made.costs(),
        **{name: manifest[name] for name in ("coverage", "refresh", "answers") if manifest.get(name) is not None},
        "version": manifest["version"],
        "template": manifest["template"],
        **digests,
    }


def _seconds(stages: dict[str, Stage], begun: float) -> dict[str, float]:
    """Wall-clock seconds of each stage when it was made, and of this run after the clusters."""
    seconds = {name: round(stage.seconds, 1) for name, stage in stages.items()}
    return {**seconds, "this run": round(time.monotonic() - begun, 1)}


def _say(about: dict[str, Any]) -> None:
    skew, cost = about["label_skew"], about["cost"]
    print(f"rows: {about['rows']:,} of {about['num_clusters']} clusters, {about['top_n']} entries each")
    print(
        f"labels: Gini {skew['gini']:.3f}, entropy {skew['normalised_entropy']:.3f}, coverage {skew['coverage']:.1%}, "
        f"most frequent hundredth {skew['top_1_percent_share']:.1%}, never first {skew['never_generated']:.0f}"
    )
    if "tokens_computed" in cost:
        print(f"cost: {cost['pairs_computed']:,} rows, {cost['tokens_computed']:,} tokens, {_of_stages(about)}")
    else:
        print(f"cost: {cost['prompt_tokens'] + cost['completion_tokens']:,} tokens, {_of_stages(about)}")
    if "refresh" in about:
        kept = about["refresh"]
        print(
            f"refreshed: {kept['rows_kept']:,} rows kept, {kept['rows_computed']:,} computed, "
            f"{kept['lost_entries']:,} entries lost"
        )
    for path in about["parquet"]:
        print(f"parquet: {path}")
    print(f"table: {about['table']}")


def _of_stages(about: dict[str, Any]) -> str:
    cached = about["from_cache"]
    return ", ".join(
        f"{name} {value:,.1f} s{' (cached)' if name in cached else ''}" for name, value in about["seconds"].items()
    )


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    table(config, folder)
