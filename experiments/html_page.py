"""Self-contained HTML pages from the project's templates."""

from pathlib import Path
from typing import Any

import jinja2

from sim.files import write_text


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
    page = environment.get_template(template).render(**content)
    write_text(path, page)
    return path
