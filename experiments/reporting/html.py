"""Self-contained HTML pages from the project's templates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from experiments.reporting.figures.files import save_figures, svg_source
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


def figure_entry(name: str, caption: str, figure: Figure | None, reason: str | None) -> dict[str, Any]:
    """A figure as the macro ``figures`` of ``parts.html.j2`` shows it, or in words why it is not there."""
    return {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "caption": caption,
        "source": None if figure is None else svg_source(figure),
        "reason": reason,
        "broad": figure is not None and figure.get_figwidth() > BROAD,
    }


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


def write_found(
    folder: Path, name: str, content: dict[str, Any], figures: Mapping[str, Figure], text: str | None = None
) -> Path:
    """Write what a command found for a reader: ``NAME.md``, ``figures/`` and ``NAME.html``.

    Args:
        folder: made if need be.
        name: of the files, and of the template.
        content: of the page, which also gets ``drawn``, the figures as the sources of images.
        figures: by name.
        text: Markdown; no file if not given.

    Returns:
        The path of the page.
    """
    if text is not None:
        write_text(folder / f"{name}.md", text)
    save_figures(figures, folder / "figures")
    drawn = {title: svg_source(figure) for title, figure in figures.items()}
    return write_page(f"{name}.html.j2", {"drawn": drawn, **content}, folder / f"{name}.html")
