"""Bars against the RAM that the board has for tensors."""

from dataclasses import dataclass

from rich.console import ConsoleOptions
from rich.text import Text

from blockwise.experiment.result import DeviceInfo, RegimeResult
from blockwise.report.text import ram_figures

LONGEST_IN_RAM = 8
"""A bar is cut at this many times the RAM: beyond it, the part that fits could not be seen."""

MIN_CELLS, MAX_CELLS = 12, 60


@dataclass(frozen=True)
class Glyphs:
    """What bars are drawn with: within the RAM, beyond it, at its limit, below the limit, cut."""

    within: str
    beyond: str
    limit: str
    corner: tuple[str, str]  # the label stands to its right, to its left
    cut: str = ">"


UNICODE = Glyphs("█", "▒", "│", ("└", "┘"))
ASCII = Glyphs("#", "=", "|", ("^", "^"))


@dataclass(frozen=True)
class Scale:
    """Bytes to character cells. ``limit`` cells are within the RAM, the others beyond."""

    top: int
    cells: int
    limit: int

    def filled(self, count: int, ram_bytes: int) -> tuple[int, int]:
        """Cells (within, beyond) for ``count`` bytes; rounding never crosses the limit."""
        cells = min(round(count / self.top * self.cells), self.cells)
        if count <= ram_bytes:
            return min(max(cells, int(count > 0)), self.limit), 0
        return self.limit, max(cells - self.limit, 1)


def make_scale(peaks: list[int], ram_bytes: int, cells: int) -> Scale:
    """The scale on which the longest bar, or the RAM, takes all cells."""
    longest = max([*peaks, ram_bytes])
    top = max(min(longest, LONGEST_IN_RAM * ram_bytes), 1)
    limit = round(ram_bytes / top * cells)
    return Scale(top, cells, min(max(limit, 1), cells - int(top > ram_bytes)))


def glyphs_of(options: ConsoleOptions) -> Glyphs:
    """Those that the console's encoding has."""
    return ASCII if options.ascii_only else UNICODE


def bar(regime: RegimeResult, ram_bytes: int, scale: Scale, glyphs: Glyphs) -> Text:
    """A regime's peak, the mark where the RAM ends, and what lies beyond it."""
    within, beyond = scale.filled(regime.peak_bytes, ram_bytes)
    over = glyphs.beyond * beyond
    if regime.peak_bytes > scale.top:
        over = over[:-1] + glyphs.cut
    drawn = Text((glyphs.within * within).ljust(scale.limit), style="cyan")
    drawn.append(glyphs.limit, style="bold")
    return drawn.append(over.ljust(scale.cells - scale.limit), style="red")


def legend(indent: int, scale: Scale, device: DeviceInfo, glyphs: Glyphs) -> Text:
    """The mark's label, on whichever side of the mark there is room for it."""
    label = f"RAM {ram_figures(device)}"
    right, left = glyphs.corner
    if scale.limit > len(label):
        text = f"{label} {left}".rjust(indent + scale.limit + 1)
    else:
        text = " " * (indent + scale.limit) + f"{right} {label}"
    if scale.top == LONGEST_IN_RAM * device.usable_bytes:
        text += f"; bars are cut at {LONGEST_IN_RAM}x"
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")
