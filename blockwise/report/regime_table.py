"""One row per regime: a bar against the RAM, and as many columns beside it as the console has room for."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from blockwise.experiment.result import Result
from blockwise.report.bars import MAX_CELLS, MIN_CELLS, bar, glyphs_of, legend, make_scale
from blockwise.report.columns import Column, accuracy_columns, memory_columns, work_columns

GAP = 2
MIN_BAR = 16
"""Cells below which other columns move to a table of their own."""


class RegimeTable:
    """The renderable; it adapts to the console's width and encoding."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.names = [regime.regime for regime in result.regimes]
        self.label = max(map(len, self.names), default=0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table with bars, the mark where the usable RAM ends, and what does not fit beside them."""
        if not self.names:
            return
        beside, *others = self.tables(options.max_width)
        yield from self._bars(beside, options)
        for columns in others:
            yield Text(self._line(" " * self.label, [c.heading for c in columns], columns), style="bold")
            for row, name in enumerate(self.names):
                yield Text(self._line(name, [column.cells[row] for column in columns], columns))

    def tables(self, width: int) -> list[list[Column]]:
        """The columns beside the bars, then those of each table below."""
        memory, accuracy = memory_columns(self.result), accuracy_columns(self.result)
        work = work_columns(self.result)
        room = width - self.label - MIN_BAR - GAP
        for beside, below in (([*memory, *accuracy, *work], []), ([*memory, *accuracy], work)):
            if _width(beside) <= room:
                return [beside, *self._chunks(below, width)]
        return [memory, *self._chunks([*accuracy, *work], width)]

    def _chunks(self, columns: Sequence[Column], width: int) -> list[list[Column]]:
        chunks: list[list[Column]] = []
        for column in columns:
            if not chunks or self.label + _width([*chunks[-1], column]) > width:
                chunks.append([])
            chunks[-1].append(column)
        return chunks

    def _bars(self, columns: Sequence[Column], options: ConsoleOptions) -> RenderResult:
        device, regimes = self.result.device, self.result.regimes
        ram, glyphs = device.usable_bytes, glyphs_of(options)
        room = options.max_width - self.label - GAP - _width(columns)
        scale = make_scale([r.peak_bytes for r in regimes], ram, min(max(room, MIN_CELLS), MAX_CELLS))
        blank = f"{'':<{self.label}} {'':<{scale.cells + 1}}"
        yield Text(self._line(blank, [c.heading for c in columns], columns), style="bold")
        for row, regime in enumerate(regimes):
            line = Text(f"{regime.regime:<{self.label}} ", no_wrap=True, overflow="crop")
            line.append_text(bar(regime, ram, scale, glyphs))
            style = "green" if regime.fits else "red"
            for column in columns:
                cell = f"{'':<{GAP}}{column.cells[row]:>{column.width}}"
                line.append(cell, style=style if column.verdict else "")
            yield line
        yield legend(self.label + 1, scale, device, glyphs)

    def _line(self, first: str, cells: Sequence[str], columns: Sequence[Column]) -> str:
        pairs = zip(cells, columns, strict=True)
        return f"{first:<{self.label}}" + "".join(f"{'':<{GAP}}{cell:>{c.width}}" for cell, c in pairs)


def _width(columns: Sequence[Column]) -> int:
    return sum(GAP + column.width for column in columns)
