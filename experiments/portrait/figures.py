"""Figures of one simulated person and of the population."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from experiments.portrait.story import Person, PopulationStory
from experiments.reporting.figures.axes import BLACK, GREY, panels, styled
from sim.arrays import BoolArray
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT
from sim.log import AGENT, OWN, PRIOR, PRODUCTION

_STATUS: dict[int, dict[str, Any]] = {  # light, so that the dots can be seen on them
    DISCOVERED: {"label": "loved and known", "facecolor": "#C9D6E8", "linewidth": 0},
    DORMANT: {
        "label": "dormant: loved, not known yet",
        "facecolor": "#FFFFFF",
        "edgecolor": "#BBBBBB",
        "hatch": "//////",
        "linewidth": 0,
    },
    ACQUIRED: {"label": "picked up on the way", "facecolor": "#EDEDED", "linewidth": 0},
}
_SOURCES = {  # colour, marker, place in the row, label; Paul Tol's high-contrast colours differ in grey, too
    PRIOR: ("#666666", "o", 0.0, "life before day 0"),
    OWN: ("#DDAA33", "^", -0.22, "own choice"),
    PRODUCTION: ("#004488", "s", 0.0, "production"),
    AGENT: ("#BB5566", "D", 0.22, "agent"),
}
_STAR = "#F0E442"
_KNOWN, _LOVED, _LEFT = "#4477AA", "#E6E2D6", "#CC3311"
_OVER_LINES: Any = {"fontsize": 7, "frameon": True, "framealpha": 0.9, "edgecolor": "none"}
_TIRED_FROM = 0.4  # satiation from which a day is marked
_CAPTION = (
    "Markers are consumed items (larger if more that day), bars minutes, by who chose the items. Reference policies\n"
    "stand in for production (greedy) and the agent (two slots of each slate from random clusters new to the user)."
)


@styled
def person_figure(person: Person) -> Figure:
    """A person's interests over time: what they knew, discovered, picked up, consumed and tired of; minutes below."""
    rows = len(person.interests)
    heights = [max(rows, 8) * 0.24, 0.9]
    figure, ((tree,), (minutes,)) = panels(2, 1, 2.7 + 0.24 * rows, sharex=True, height_ratios=heights)
    for row in range(rows):
        _draw_interest(tree, person, row)
    for axes in (tree, minutes):
        _draw_starts(axes, person.first_day, person.agent_day)
        axes.grid(visible=False)
    tree.set_yticks(range(rows), person.interests, fontsize=7)
    tree.set_ylim(rows - 0.4, -0.6)
    tree.set_title(f"Interests of user {person.user}")
    _draw_minutes(minutes, person)
    place: Any = {"loc": "outside lower center", "ncols": 3, "alignment": "left"}
    figure.legend(handles=_legend(person), title=_CAPTION, title_fontsize=7, fontsize=7, **place)
    return figure


def _draw_interest(axes: Axes, person: Person, row: int) -> None:
    """A row of the tree: status as the background, consumed items, tired days and the day of discovery as marks."""
    status, days = person.status[:, row], person.first_day + np.arange(len(person.status))
    for value, background in _STATUS.items():
        ends = np.append(np.repeat(days, 2)[1:], days[-1] + 1)
        axes.fill_between(ends, row - 0.38, row + 0.38, where=np.repeat(status == value, 2), **background)
    for source, (colour, marker, place, _) in _SOURCES.items():
        consumed = person.consumed[source, :, row]
        taken = np.flatnonzero(consumed)
        size = 6 + 3 * np.sqrt(consumed[taken])
        look: Any = {"color": colour, "marker": marker, "linewidth": 0, "zorder": 3}
        axes.scatter(days[taken] + 0.5, np.full(len(taken), row + place), s=size, **look)
    tired = days[person.satiation[:, row] >= _TIRED_FROM]
    axes.scatter(tired + 0.5, np.full(len(tired), row + 0.42), s=9, marker="_", color=BLACK, linewidth=1, zorder=4)
    woke = days[_first_days(status == DISCOVERED)]
    star: Any = {"s": 60, "marker": "*", "color": _STAR, "edgecolor": BLACK, "linewidth": 0.6, "zorder": 5}
    axes.scatter(woke + 0.5, np.full(len(woke), row), **star)


def _first_days(on: BoolArray) -> BoolArray:
    """(T,) bool: the days on which something begins, the first day of all left out."""
    begins = np.zeros_like(on)
    begins[1:] = on[1:] & ~on[:-1]
    return begins


def _draw_minutes(axes: Axes, person: Person) -> None:
    """Minutes of each day, stacked by source."""
    days = person.first_day + np.arange(person.minutes.shape[1])
    below = np.zeros(len(days))
    for source, (colour, _, _, _) in _SOURCES.items():
        minutes = person.minutes[source]
        axes.bar(days + 0.5, minutes, bottom=below, width=0.9, color=colour)
        below += minutes
    axes.set(xlabel="day", ylabel="minutes", xlim=(days[0], days[-1] + 1))
    axes.xaxis.set_major_locator(_whole_days())


def _whole_days() -> MaxNLocator:
    return MaxNLocator(7, steps=[1, 2, 5, 10], integer=True)


_DAY_0: Any = {"color": BLACK, "linewidth": 0.8, "zorder": 2}
_AGENT_STARTS: Any = {**_DAY_0, "linestyle": (0, (4, 2))}


def _draw_starts(axes: Axes, first_day: int, agent_day: int) -> None:
    """Lines where day 0 begins, if days before it are shown, and where the agent starts."""
    if first_day < 0:
        axes.axvline(0, **_DAY_0)
    axes.axvline(agent_day, label="the agent starts", **_AGENT_STARTS)


def _legend(person: Person) -> list[Patch | Line2D]:
    """What is in the figure; of the sources, those from which something was consumed."""

    def mark(marker: str, colour: str, size: float, label: str, edge: str | None = None) -> Line2D:
        look: Any = {"markeredgecolor": edge or colour, "markeredgewidth": 0.6 if edge else 0}
        return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=size, label=label, **look)

    sources = [source for source in _SOURCES if person.consumed[source].any()]
    return [
        *(Patch(**look) for look in _STATUS.values()),
        mark("*", _STAR, 8, "discovered", BLACK),
        *(mark(_SOURCES[source][1], _SOURCES[source][0], 4, _SOURCES[source][3]) for source in sources),
        mark("_", BLACK, 5, f"tired of it (satiation ≥ {_TIRED_FROM})", BLACK),
        *([Line2D([], [], label="day 0: production starts", **_DAY_0)] if person.first_day < 0 else []),
        Line2D([], [], label="the agent starts", **_AGENT_STARTS),
    ]


@styled
def population_figure(story: PopulationStory) -> Figure:
    """Who lives in the world, and their interests, visits, discoveries, joining and churn."""
    days = np.arange(len(story.active)) + 0.5
    figure, ((interests, visits), (discoveries, present)) = panels(2, 2, 5.6)
    bins = np.arange(-0.5, story.loved.max() + 1.5)
    for values, label, colour in ((story.loved, "loved", _LOVED), (story.known, "known of these", _KNOWN)):
        share = np.full(len(values), 1 / len(values))
        interests.hist(values, bins=bins, weights=share, label=label, color=colour, alpha=0.8)
    interests.set(xlabel="interests of a user on day 0", ylabel="share of users")
    interests.xaxis.set_major_locator(MaxNLocator(integer=True))
    interests.legend(fontsize=7, frameon=False)
    share = np.full(len(story.returning), 1 / len(story.returning))
    visits.hist(story.returning, bins=np.linspace(0, 1, 21), weights=share, color=_KNOWN)
    visits.set(xlabel="probability of coming on a day", ylabel="share of users")
    low, middle, high = np.percentile(story.discovered, [10, 50, 90], axis=1)
    discoveries.fill_between(days, low, high, color=_KNOWN, alpha=0.2, linewidth=0, label="10 % to 90 % of users")
    discoveries.plot(days, story.discovered.mean(axis=1), color=_KNOWN, label="mean")
    discoveries.plot(days, middle, color=_KNOWN, linestyle=":", label="median")
    discoveries.set(ylabel="interests discovered so far")
    discoveries.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (discoveries, present):
        _draw_starts(axes, 0, story.agent_day)
        axes.set(xlabel="day", xlim=(0, len(days)))
        axes.xaxis.set_major_locator(_whole_days())
    discoveries.legend(**_OVER_LINES)
    num = len(story.loved)
    for values, label, colour in (
        (story.joined, "have joined", GREY),
        (story.active, "came today", _KNOWN),
        (story.churned, "left for good", _LEFT),
    ):
        present.plot(days, values / num, label=label, color=colour)
    present.set(ylabel="share of all users", ylim=(0, 1))
    present.legend(**_OVER_LINES)
    for axes in (interests, visits, present):
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
