"""Self-contained HTML pages from the project's templates."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

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
