"""A table with one column per regime, split into several where the console is too narrow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from blockwise.report.text import broken

NAME_WIDTH, WIDEST_NAME = 12, 40
"""Longer names in cells are broken over lines: at the first where room is scarce, else later."""

GAP = 2
"""Cells between columns, of which the box itself takes one."""


@dataclass(frozen=True)
class TableRow:
    """A label and one cell per regime."""

    label: str
    cells: tuple[str, ...]
    style: str = ""
    ruled: bool = False  # a rule below
    is_name: bool = False  # may be broken over lines


ASCII_RULES = box.Box(
    "----\n    \n----\n    \n----\n----\n    \n----\n",
    ascii=True,
)
"""Rich's own substitute for a box that ASCII lacks would add vertical lines."""


class Ruled:
    """A table with horizontal rules only, whatever the console's encoding."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table in the box that the encoding has."""
        self.table.box = ASCII_RULES if options.ascii_only else box.HORIZONTALS
        yield self.table


def ruled_table() -> Table:
    """An empty table laid out for :class:`Ruled`."""
    return Table(show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))


class SideBySide:
    """The renderable: as many regimes beside each other as the width allows."""

    def __init__(self, corner: str, regimes: Sequence[str], rows: Sequence[TableRow]) -> None:
        self.corner, self.regimes, self.rows = corner, regimes, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One table per chunk of regimes."""
        label = max(len(text) for text in (self.corner, *(row.label for row in self.rows)))
        for number, chunk in enumerate(self._chunks(options.max_width - label)):
            if number:
                yield ""
            yield Ruled(self._table(chunk, self._name_width(options.max_width - label, chunk)))

    def _width(self, column: int, name_width: int = NAME_WIDTH) -> int:
        """Cells a regime's column needs if its names are broken at ``name_width``."""
        figures = [len(row.cells[column]) for row in self.rows if not row.is_name]
        names = [min(len(row.cells[column]), name_width) for row in self.rows if row.is_name]
        return max([len(self.regimes[column]), *figures, *names])

    def _chunks(self, room: int) -> Iterator[list[int]]:
        chunk: list[int] = []
        used = 0
        for column in range(len(self.regimes)):
            width = self._width(column) + GAP
            if chunk and used + width > room:
                yield chunk
                chunk, used = [], 0
            chunk.append(column)
            used += width
        if chunk:
            yield chunk

    def _name_width(self, room: int, chunk: list[int]) -> int:
        """The widest at which all columns of the chunk still stand beside each other."""
        for width in range(WIDEST_NAME, NAME_WIDTH, -1):
            if sum(self._width(column, width) + GAP for column in chunk) <= room:
                return width
        return NAME_WIDTH

    def _table(self, chunk: list[int], name_width: int) -> Table:
        table = ruled_table()
        table.add_column(Text(self.corner, style="bold"), no_wrap=True)
        for column in chunk:
            table.add_column(Text(self.regimes[column], style="bold"), justify="right")
        for row in self.rows:
            cells = [row.cells[column] for column in chunk]
            if row.is_name:
                cells = [broken(cell, name_width) for cell in cells]
            texts = [Text(text, style=row.style) for text in (row.label, *cells)]
            table.add_row(*texts, end_section=row.ruled)
        return table
