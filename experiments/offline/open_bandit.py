"""A check on real feedback: the small Open Bandit Dataset, whose two policies ran side by side.

The dataset (Saito et al. 2020, "Open Bandit Dataset and Pipeline") holds the logs of two policies that
filled three places on the pages of a fashion shop at the same time: Bernoulli Thompson sampling, with
its propensities, and uniformly random choice. The reward of random choice is known from its own log;
the estimate from the other's, with weights (1 / number of items) / propensity, should agree.

Ten thousand rows of each lie in the distribution ``obp`` 0.4.1 on the package index; they are not ours to
pass on: fetch it with ``pip download --no-deps obp==0.4.1``, unzip it, and name the folder ``obp/dataset/obd``.

    python -m experiments.offline.open_bandit FOLDER

The log names no users, so every row is taken for independent.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.command import clear_errors
from experiments.datasets.open_bandit import CAMPAIGNS, read_rows
from experiments.inference.users import Interval
from experiments.off_policy.actions import (
    Diagnostics,
    LoggedActions,
    Outcomes,
    diagnostics,
    dm,
    dr,
    ips,
    snips,
    switch_dr,
)
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput

CLIP, SWITCH = 100.0, 10.0
PRIOR = 100.0
"""Rows that an item's click rate in a place is drawn to the place's by, in the model of clicks."""


@dataclass(frozen=True)
class BanditLog:
    """One policy's rows: (n,) item, place on the page, click and propensity."""

    item: IntArray
    position: IntArray
    click: FloatArray
    propensity: FloatArray


def read_log(folder: Path, policy: str, campaign: str) -> BanditLog:
    """Read ``POLICY/CAMPAIGN/CAMPAIGN.csv``; ``InvalidInput`` if there is none, or it is not right in every row."""
    left_out: Counter[str] = Counter()
    rows = read_rows(folder, f"{policy}/{campaign}", left_out, timed=False)
    if left_out.total():
        told = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
        raise InvalidInput("folder", str(folder / policy / campaign), f"every row must be readable; there are {told}")
    item, position = rows["item_id"].astype(np.int64), rows["position"].astype(np.int64)
    return BanditLog(item, position, rows["click"], rows["propensity_score"])


def click_model(log: BanditLog, num_items: int) -> FloatArray:
    """(items, places) click rates, each drawn to its place's by ``PRIOR`` rows: a model for dm, dr and switch_dr."""
    places = int(log.position.max()) + 1
    cell = log.item * places + log.position
    shown = np.bincount(cell, minlength=num_items * places).reshape(num_items, places)
    clicked = np.bincount(cell, log.click, minlength=num_items * places).reshape(num_items, places)
    rate = clicked.sum(axis=0) / np.maximum(shown.sum(axis=0), 1)
    return np.asarray((clicked + PRIOR * rate) / (shown + PRIOR))


def random_from(log: BanditLog, num_items: int) -> tuple[LoggedActions, Outcomes]:
    """Random choice among ``num_items``, evaluated on another policy's log.

    The model is fitted on the rows that it is used on, as one would have to with so few; ``dr`` is then no
    longer exactly unbiased.
    """
    rows = LoggedActions(np.arange(len(log.item)), log.click, log.propensity, np.full(len(log.item), 1 / num_items))
    model = click_model(log, num_items)
    return rows, Outcomes(model[log.item, log.position], model.mean(axis=0)[log.position])


def compare(folder: Path, campaign: str) -> tuple[dict[str, Interval], Diagnostics]:
    """Random choice's click rate from its own log (``on_policy``) and from the other's, with the latter's support."""
    random, bts = read_log(folder, "random", campaign), read_log(folder, "bts", campaign)
    num_items = int(max(random.item.max(), bts.item.max())) + 1
    rows, outcomes = random_from(bts, num_items)
    ones = np.ones(len(random.item))
    estimates = {
        "on_policy": ips(LoggedActions(np.arange(len(ones)), random.click, ones, ones)),
        "naive": ips(LoggedActions(rows.user, rows.reward, np.ones(len(rows)), np.ones(len(rows)))),
        "ips": ips(rows),
        f"ips, clip {CLIP:g}": ips(rows, CLIP),
        "snips": snips(rows),
        "dm": dm(rows, outcomes),
        "dr": dr(rows, outcomes),
        f"switch_dr, {SWITCH:g}": switch_dr(rows, outcomes, SWITCH),
    }
    return estimates, diagnostics(rows, CLIP)


def main() -> None:
    """Print the check for every campaign."""
    parser = argparse.ArgumentParser(
        "experiments.offline.open_bandit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="obp/dataset/obd of the unzipped distribution")
    folder = parser.parse_args().folder
    with clear_errors("open_bandit"):
        for campaign in CAMPAIGNS:
            estimates, support = compare(folder, campaign)
            weight = support.mean_weight
            print(f"{campaign}: {support.rows:,} rows, worth {support.effective_rows:,.0f} of random choice's own")
            print(f"  mean weight      {weight.value:.2f} [{weight.low:.2f}, {weight.high:.2f}]")
            for name, each in estimates.items():
                print(f"  {name:16} {_percent(each.value)} % [{_percent(each.low)}, {_percent(each.high)}]")


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.3f}"


if __name__ == "__main__":
    main()
