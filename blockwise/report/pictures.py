"""The memory timeline: live bytes by category over one training step, one panel per regime."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.drawing import Renderings
from blockwise.report.file_names import PNG_NAME, SVG_NAME
from blockwise.report.panels import draw_panel, legend_handles, phase_key
from blockwise.report.scales import y_limits
from blockwise.report.text import ram_figures
from blockwise.system.files import atomic_write

WIDTH_IN, PANEL_IN, FRAME_IN = 11.0, 2.45, 1.08
PNG_DPI = 144

STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture everywhere
    "font.size": 8.5,
    "text.parse_math": False,  # a "$" in a name is a dollar
    "svg.fonttype": "none",  # text stays text: searchable, and readable aloud
    "svg.hashsalt": "blockwise",  # else element ids change from run to run
    "hatch.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def timeline_images(result: Result) -> Renderings:
    """Draw the timeline of every regime; byte-identical for equal results."""
    return draw(lambda: _figure(result))


def draw(make: Callable[[], Figure]) -> Renderings:
    """The figure that ``make`` makes, byte-identical for equal figures."""
    # A reader's matplotlibrc must not change the picture, nor the picture their settings.
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Characters that the font lacks are text in the SVG, which viewers draw, and boxes in the PNG.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        return rendered(make())


def rendered(figure: Figure) -> Renderings:
    """The figure, in the settings of now."""
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "Blockwise"})
    figure.savefig(png, format="png", metadata={"Software": "Blockwise"}, dpi=PNG_DPI)
    return Renderings(svg.getvalue().decode("utf-8"), png.getvalue())


def specimen() -> Renderings:
    """A picture of two letters, bold and plain: what it takes is loaded from then on."""

    def make() -> Figure:
        figure = Figure()
        figure.add_axes((0, 0, 1, 1)).set_ylabel("a")
        figure.suptitle("b", fontweight="bold")
        return figure

    return draw(make)


def timeline_svg_png(result: Result, folder: str | os.PathLike[str]) -> tuple[str, str]:
    """Write both into ``folder``; returns the names of the files. Raises WriteError."""
    images = timeline_images(result)
    atomic_write(Path(folder) / SVG_NAME, images.svg)
    atomic_write(Path(folder) / PNG_NAME, images.png)
    return SVG_NAME, PNG_NAME


def _figure(result: Result) -> Figure:
    tops = zip(result.regimes, y_limits(result), strict=True)
    panels = [(regime, top) for regime, top in tops if regime.timeline]
    height = FRAME_IN + PANEL_IN * max(len(panels), 1)
    figure = Figure(figsize=(WIDTH_IN, height))
    figure.suptitle(_title(result), x=0.07, y=1 - 0.16 / height, ha="left", va="top",
                    fontsize=13, fontweight="bold")  # fmt: skip
    figure.text(0.07, 1 - 0.43 / height, _subtitle(result), va="top", color="0.3")
    if not panels:
        figure.text(0.5, 0.5, "no timeline was recorded", ha="center")
        return figure
    for number, (regime, top) in enumerate(panels):
        axes = _panel_axes(figure, number, height)
        draw_panel(axes, regime, result.device, top)
    _finish(figure, axes, [regime for regime, _ in panels], height)
    return figure


def _panel_axes(figure: Figure, number: int, height: float) -> Axes:
    """A panel's axes in fixed inches, so that one panel and six look alike."""
    top = 1.28 + number * PANEL_IN
    return figure.add_axes((0.07, 1 - (top + 1.62) / height, 0.825, 1.62 / height))


def _finish(figure: Figure, last: Axes, regimes: list[RegimeResult], height: float) -> None:
    label = f"operations of one training step, in order; strip: {phase_key(regimes)}"
    last.set_xlabel(label, labelpad=4)
    handles = legend_handles(regimes)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.063, 1 - 0.6 / height),
                  ncols=len(handles), frameon=False, handlelength=1.6, handleheight=1.0,
                  columnspacing=1.1, handletextpad=0.45, fontsize=8)  # fmt: skip


def _title(result: Result) -> str:
    return f"Memory during one training step: {result.model.name} on {result.device.title}"


def _subtitle(result: Result) -> str:
    batch = result.config.get("batch_size")
    text = f"Live bytes on the board, RAM {ram_figures(result.device)}"
    text += f"; batch {batch}" if batch else ""
    if len(result.regimes) < 2:
        return text
    shared = len(set(y_limits(result))) <= 1
    return text + ("; all panels share one scale" if shared else "; each panel has its own scale")
