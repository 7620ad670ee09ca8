"""Figures of studies as files, the same bytes for the same records."""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from blockwise.files import atomic_write
from blockwise.report.pictures import PNG_DPI, STYLE


def save_figure(make: Callable[[], Figure], stem: Path) -> tuple[Path, Path]:
    """Draw to ``stem``.svg and ``stem``.png; returns the two paths."""
    # A reader's matplotlibrc must not change the picture, nor the picture their settings.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = make()
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "Blockwise"})
        figure.savefig(png, format="png", metadata={"Software": "Blockwise"}, dpi=PNG_DPI)
    files = stem.with_suffix(".svg"), stem.with_suffix(".png")
    for path, image in zip(files, (svg, png), strict=True):
        atomic_write(path, image.getvalue())
    return files
