"""How figures look on paper, and how they become files: the same figure gives the same SVG bytes."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

import matplotlib
from matplotlib.figure import Figure

from sim.files import written_whole

STYLE: Any = {  # Any: rc_context's own type lists every key as a literal
    "figure.autolayout": False,  # whatever a user's own matplotlibrc says: ``lay_out`` leaves no engine
    "figure.constrained_layout.use": False,
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


_WITHOUT: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
"""What would differ from run to run."""


def image_bytes(figure: Figure, kind: Literal["svg", "png", "pdf"]) -> bytes:
    """The figure as an SVG, a 200-dpi PNG, or a PDF with its fonts embedded (for LaTeX), without a date in it."""
    if kind == "svg":
        return svg_text(figure).encode()
    return _saved(figure, kind)


def svg_text(figure: Figure) -> str:
    """The figure as an SVG. It is drawn once, for its file and for a page, and must not change from then on."""
    if figure not in _SVG:
        _SVG[figure] = _saved(figure, "svg").decode()
    return _SVG[figure]


_SVG: WeakKeyDictionary[Figure, str] = WeakKeyDictionary()
"""Figures that were drawn -> SVG."""


def _saved(figure: Figure, kind: Literal["svg", "png", "pdf"]) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        lay_out(figure)
        figure.savefig(buffer, format=kind, dpi=200, metadata=_WITHOUT[kind], facecolor="white")
    return buffer.getvalue()


def lay_out(figure: Figure) -> None:
    """Place what the figure holds, once: every file of it then has the same layout, and none computes it again.

    No engine is left, not even "none": with any engine ``savefig`` draws everything twice.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


KINDS: tuple[Literal["svg", "png", "pdf"], ...] = ("svg", "png", "pdf")
"""Files that a figure becomes."""


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.svg``, ``name.png`` and ``name.pdf``, each whole or not at all."""
    paths = [folder / f"{name}.{kind}" for kind in KINDS]
    for path, kind in zip(paths, KINDS, strict=True):
        with written_whole(path) as temporary:
            temporary.write_bytes(image_bytes(figure, kind))
    return paths


def save_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write every figure, by its name."""
    for name, figure in figures.items():
        save_figure(figure, folder, name)
