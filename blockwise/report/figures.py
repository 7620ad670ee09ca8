"""Figures of studies as files, the same bytes for the same records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from blockwise.report.pictures import draw
from blockwise.system.files import atomic_write

LEGEND: dict[str, Any] = {"framealpha": 0.8, "edgecolor": "none"}
"""Of a legend: what it has to cover, such as a line of the whole height, does not strike it out."""


def save_figure(make: Callable[[], Figure], stem: Path) -> tuple[Path, Path]:
    """Draw to ``stem``.svg and ``stem``.png; returns the two paths."""
    images = draw(make)
    svg, png = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    atomic_write(svg, images.svg)
    atomic_write(png, images.png)
    return svg, png
