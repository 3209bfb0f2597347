"""Figures of one simulated person and of the population."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from experiments.portrait.story import Person, PopulationStory
from experiments.reporting.figures.axes import panels, styled
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT

_KNOWN, _DORMANT, _PICKED_UP, _TIRED = "#4477AA", "#E6E2D6", "#BBCCEE", "#CC3311"
_TIRED_FROM = 0.4  # satiation from which a day is marked


@styled
def person_figure(person: Person) -> Figure:
    """A person's interests over time: what they knew, discovered, picked up and tired of; minutes below."""
    days, rows = person.status.shape
    heights = [max(rows, 8) * 0.24, 0.9]
    figure, ((tree,), (minutes,)) = panels(2, 1, 1.6 + 0.24 * rows, 8.5, sharex=True, height_ratios=heights)
    colours = {DORMANT: _DORMANT, DISCOVERED: _KNOWN, ACQUIRED: _PICKED_UP}
    for row in range(rows):
        for value, colour in colours.items():
            on = person.status[:, row] == value
            tree.fill_between(_steps(days), row - 0.38, row + 0.38, where=_twice(on), color=colour, linewidth=0)
        taken = np.flatnonzero(person.consumed[:, row])
        size = 3 + 3 * np.sqrt(person.consumed[taken, row])
        tree.scatter(taken + 0.5, np.full(len(taken), row), s=size, color="black", linewidth=0, zorder=3)
        tired = np.flatnonzero(person.satiation[:, row] >= _TIRED_FROM)
        tree.scatter(tired + 0.5, np.full(len(tired), row + 0.3), s=9, marker="_", color=_TIRED, zorder=4)
        woke = np.flatnonzero(np.diff(person.status[:, row] == DISCOVERED, prepend=True))
        woke = woke[person.status[woke, row] == DISCOVERED]
        tree.scatter(woke + 0.5, np.full(len(woke), row), s=70, marker="*", color="#EE9900", zorder=5)
    tree.set_yticks(range(rows), person.interests, fontsize=7)
    tree.set_ylim(rows - 0.4, -0.6)
    tree.set_title(f"Interests of user {person.user}")
    tree.legend(handles=_legend(), loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7, frameon=False)
    minutes.bar(np.arange(days) + 0.5, person.minutes, width=0.9, color="#767676")
    minutes.set(xlabel="days since the warm-up", ylabel="minutes", xlim=(0, days))
    return figure


def _steps(days: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.repeat(np.arange(days + 1), 2)[1:-1]


def _twice(on: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.repeat(on, 2)


def _legend() -> list[Patch | Line2D]:
    def mark(marker: str, colour: str, size: float, label: str) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=size, label=label)

    return [
        Patch(color=_KNOWN, label="loved and known"),
        Patch(color=_DORMANT, label="dormant: loved, not known yet"),
        Patch(color=_PICKED_UP, label="picked up on the way"),
        mark("*", "#EE9900", 8, "discovered"),
        mark("o", "black", 3, "consumed items (area)"),
        mark("_", _TIRED, 6, f"tired of it (satiation ≥ {_TIRED_FROM})"),
    ]


@styled
def population_figure(story: PopulationStory) -> Figure:
    """Who lives in the world, and their interests, visits, discoveries, joining and churn."""
    days = np.arange(len(story.active))
    figure, ((interests, visits), (discoveries, present)) = panels(2, 2, 5.6, 8.5)
    bins = np.arange(-0.5, story.loved.max() + 1.5)
    for values, label, colour in ((story.loved, "loved", _DORMANT), (story.known, "known of these", _KNOWN)):
        share = np.full(len(values), 1 / len(values))
        interests.hist(values, bins=bins, weights=share, label=label, color=colour, alpha=0.8)
    interests.set(xlabel="interests of a user on the first day", ylabel="share of users")
    interests.legend(fontsize=7, frameon=False)
    share = np.full(len(story.returning), 1 / len(story.returning))
    visits.hist(story.returning, bins=np.linspace(0, 1, 21), weights=share, color=_KNOWN)
    visits.set(xlabel="probability of coming on a day", ylabel="share of users")
    low, middle, high = np.percentile(story.discovered, [10, 50, 90], axis=1)
    discoveries.fill_between(days, low, high, color=_KNOWN, alpha=0.2, linewidth=0, label="10 % to 90 % of users")
    discoveries.plot(days, story.discovered.mean(axis=1), color=_KNOWN, label="mean")
    discoveries.plot(days, middle, color=_KNOWN, linestyle=":", label="median")
    discoveries.set(xlabel="days since the warm-up", ylabel="interests discovered so far")
    discoveries.legend(fontsize=7, frameon=False)
    num = len(story.loved)
    for values, label, colour in (
        (story.joined, "have joined", "#767676"),
        (story.active, "came today", _KNOWN),
        (story.churned, "left for good", _TIRED),
    ):
        present.plot(days, values / num, label=label, color=colour)
    present.set(xlabel="days since the warm-up", ylabel="share of all users", ylim=(0, 1))
    present.legend(fontsize=7, frameon=False)
    for axes in (interests, visits, present):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure
