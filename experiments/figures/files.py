"""How figures look on paper, and how they become files: the same figure gives the same SVG bytes."""

import base64
import io
import os
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure

STYLE: Any = {  # Any: rc_context's own type lists every key as a literal
    "font.size": 9,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that every machine draws the same
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.labelsize": 9,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.5,
    "svg.hashsalt": "interestlab",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}


def image_bytes(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """The figure as an SVG or a 200-dpi PNG file, without a date in it."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def svg_source(figure: Figure) -> str:
    """The figure as the ``src`` of an image in a page that needs no other file."""
    # A data URI keeps the SVG's ids to itself: inlined, two figures' clip paths and glyphs would collide.
    return "data:image/svg+xml;base64," + base64.b64encode(image_bytes(figure, "svg")).decode()


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``name.svg`` and ``name.png``, each first under a temporary name, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    for path, content in ((svg, image_bytes(figure, "svg")), (png, image_bytes(figure, "png"))):
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    return svg, png
