"""One bar per regime against the RAM that the board has for tensors."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from blockwise.experiment.result import DeviceInfo, RegimeResult, Result
from blockwise.report.text import fits_words, kib, ram_figures, times

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


class Bars:
    """The renderable; it adapts to the console's width and encoding."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines of equal layout, then the mark where the usable RAM ends."""
        if not self.result.regimes:
            return
        ram = self.result.device.usable_bytes
        glyphs = ASCII if options.ascii_only else UNICODE
        tails = _tails(self.result)
        label = max(len(regime.regime) for regime in self.result.regimes)
        room = options.max_width - label - max(map(len, tails)) - 4
        cells = min(max(room, MIN_CELLS), MAX_CELLS)
        scale = make_scale([r.peak_bytes for r in self.result.regimes], ram, cells)
        for regime, tail in zip(self.result.regimes, tails, strict=True):
            line = Text(f"{regime.regime:<{label}} ", no_wrap=True, overflow="crop")
            line.append_text(_bar(regime, ram, scale, glyphs))
            yield line.append(f"  {tail}", style="green" if regime.fits else "red")
        yield _legend(label + 1, scale, self.result.device, glyphs)


def _tails(result: Result) -> list[str]:
    """The figures behind the bars, in columns."""
    regimes, ram = result.regimes, result.device.usable_bytes
    sizes = [f"{kib(regime.peak_bytes)} KiB" for regime in regimes]
    ratios = [times(regime.peak_bytes, ram) for regime in regimes]
    wide, narrow = max(map(len, sizes)), max(map(len, ratios))
    return [
        f"{count:>{wide}} {ratio:>{narrow}} {fits_words(regime.fits)}"
        for count, ratio, regime in zip(sizes, ratios, regimes, strict=True)
    ]


def _bar(regime: RegimeResult, ram_bytes: int, scale: Scale, glyphs: Glyphs) -> Text:
    within, beyond = scale.filled(regime.peak_bytes, ram_bytes)
    over = glyphs.beyond * beyond
    if regime.peak_bytes > scale.top:
        over = over[:-1] + glyphs.cut
    bar = Text((glyphs.within * within).ljust(scale.limit), style="cyan")
    bar.append(glyphs.limit, style="bold")
    return bar.append(over.ljust(scale.cells - scale.limit), style="red")


def _legend(indent: int, scale: Scale, device: DeviceInfo, glyphs: Glyphs) -> Text:
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
