"""``python -m records.tuning_record FOLDER...``: what searches tried and found, as Markdown for docs/tuning.md."""

import json
import sys
from pathlib import Path
from typing import Any

from experiments.reporting.text import markdown
from sim.errors import InvalidInput


def trials_of(folder: Path) -> list[dict[str, Any]]:
    """The trials of one search, best first; ``InvalidInput`` if the folder holds none."""
    trials = [json.loads(path.read_text()) for path in sorted(folder.glob("*/trial.json"))]
    if not trials:
        raise InvalidInput(
            "folder", str(folder), "must be the folder of a search (interestlab tune -m), with */trial.json"
        )
    return sorted(trials, key=lambda trial: -float(trial["value"]))


def record(title: str, trials: list[dict[str, Any]]) -> str:
    """A section: every setting with its mean objective and each world's, best first."""
    seeds = list(trials[0]["by_seed"])
    heads = ["setting", f"{trials[0]['objective'].replace('_', ' ')}, mean", *(f"world {seed}" for seed in seeds), "s"]
    rows = []
    for trial in trials:
        setting = ", ".join(word for word in trial["overrides"] if word.startswith(("agent.", "llm.")))
        cells = [setting or "as configured", f"{trial['value']:.4f}"]
        cells += [f"{trial['by_seed'][seed]:.4f}" for seed in seeds] + [f"{trial['seconds']:.0f}"]
        rows.append(cells)
    return f"## {title}\n\n{markdown(heads, rows, names=len(heads))}"


def main() -> None:
    """Print a section for every folder named, under the folder's name."""
    try:
        for name in sys.argv[1:]:
            print(record(Path(name).name, trials_of(Path(name))))
    except InvalidInput as error:
        print(f"tuning_record: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
