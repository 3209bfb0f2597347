"""Self-contained HTML pages from the project's templates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from experiments.reporting.figures.files import save_figures
from experiments.reporting.figures.inline import inline_svg
from sim.files import write_text


@dataclass(frozen=True)
class Contents:
    """A page's body and what is in it.

    Attributes:
        headings: id and text of every second-level heading, in order.
        body: the body, its headings with these ids.
    """

    headings: list[tuple[str, str]]
    body: Markup


def with_contents(body: str) -> Contents:
    """Give every ``<h2>`` of a page's body an id to be linked to, made of its text."""
    headings: list[tuple[str, str]] = []

    def named(match: re.Match[str]) -> str:
        text = Markup(match[1]).striptags()
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        taken = [id for id, _ in headings]
        unique = slug if slug not in taken else f"{slug}-{len(taken)}"
        headings.append((unique, text))
        return f'<h2 id="{unique}">{match[1]}</h2>'

    marked = re.sub(r"<h2>(.*?)</h2>", named, str(body), flags=re.DOTALL)
    return Contents(headings, Markup(marked))  # what was escaped stays so: only ids were added


def cell(value: str, *lines: str, sure: bool = False, sort: str = "") -> dict[str, Any]:
    """A cell as the macro ``cells`` of ``parts.html.j2`` shows it.

    Args:
        value: in large.
        lines: below it, in small; empty ones are left out.
        sure: whether it is shaded.
        sort: the number that a click on the heading sorts by, where it is not that of the text.
    """
    return {"value": value, "lines": [line for line in lines if line], "sure": sure, "sort": sort}


BROAD = 6.0
"""Inches from which a figure takes the page's whole width."""


def drawn(name: str, figure: Figure, narrow: Figure | None = None) -> dict[str, Any]:
    """A figure as the macro ``drawing`` of ``parts.html.j2`` shows it.

    Args:
        name: unlike that of any other figure of the page.
        figure: for a screen, and for a phone too if there is no other.
        narrow: for a phone.
    """
    return {
        "source": inline_svg(figure, name),
        "narrow": None if narrow is None else inline_svg(narrow, f"{name}-narrow"),
        "broad": figure.get_figwidth() > BROAD,
    }


def figure_entry(
    name: str, caption: str, figure: Figure | None, reason: str | None, narrow: Figure | None = None
) -> dict[str, Any]:
    """A figure as the macro ``figures`` of ``parts.html.j2`` shows it, or in words why it is not there."""
    entry = {"name": name, "title": name.replace("_", " ").capitalize(), "caption": caption, "reason": reason}
    return entry | (dict.fromkeys(("source", "narrow", "broad")) if figure is None else drawn(name, figure, narrow))


def write_page(template: str, content: dict[str, Any], path: Path) -> Path:
    """Render ``templates/<template>`` with ``content`` into ``path``, first under a temporary name.

    Returns:
        ``path``.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_contents"] = with_contents
    page = environment.get_template(template).render(**content)
    write_text(path, page)
    return path


def write_results(
    folder: Path,
    name: str,
    content: dict[str, Any],
    figures: Mapping[str, Figure],
    text: str | None = None,
    narrow: Mapping[str, Figure] | None = None,
) -> Path:
    """Write what a command measured for a reader: ``NAME.md``, ``figures/`` and ``NAME.html``.

    Args:
        folder: made if need be.
        name: of the files, and of the template.
        content: of the page, which also gets ``drawn``: name of a figure -> what the macro ``figure`` shows.
        figures: by name.
        text: Markdown; no file if not given.
        narrow: figures that are too wide for a phone, drawn for one, by name.

    Returns:
        The path of the page.
    """
    if text is not None:
        write_text(folder / f"{name}.md", text)
    save_figures(figures, folder / "figures")
    shown = {title: drawn(title, figure, (narrow or {}).get(title)) for title, figure in figures.items()}
    return write_page(f"{name}.html.j2", {"drawn": shown, **content}, folder / f"{name}.html")
