"""A table with one column per regime, or one row for each where the console is too narrow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
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

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the table."""
        return Measurement.get(console, options, self.table)


def ruled_table() -> Table:
    """An empty table laid out for :class:`Ruled`."""
    return Table(show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))


class SideBySide:
    """The renderable: a column for each regime, or a row for each where columns have no room."""

    def __init__(self, corner: str, regimes: Sequence[str], rows: Sequence[TableRow]) -> None:
        self.corner, self.regimes, self.rows = corner, regimes, rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One table, or several with all regimes in each."""
        label = max(len(text) for text in (self.corner, *(row.label for row in self.rows)))
        room = options.max_width - label
        if sum(self._width(column) + GAP for column in range(len(self.regimes))) <= room:
            yield Ruled(self._table(self._name_width(room)))
            return
        for number, rows in enumerate(self._chunks(options.max_width)):
            if number:
                yield ""
            yield Ruled(self._turned(rows))

    def _width(self, column: int, name_width: int = NAME_WIDTH) -> int:
        """Cells a regime's column needs if its names are broken at ``name_width``."""
        figures = [len(row.cells[column]) for row in self.rows if not row.is_name]
        names = [min(len(row.cells[column]), name_width) for row in self.rows if row.is_name]
        return max([len(self.regimes[column]), *figures, *names])

    def _name_width(self, room: int) -> int:
        """The widest at which all regimes still stand beside each other."""
        columns = range(len(self.regimes))
        for width in range(WIDEST_NAME, NAME_WIDTH, -1):
            if sum(self._width(column, width) + GAP for column in columns) <= room:
                return width
        return NAME_WIDTH

    def _table(self, name_width: int) -> Table:
        table = ruled_table()
        table.add_column(Text(self.corner, style="bold"), no_wrap=True)
        for regime in self.regimes:
            table.add_column(Text(regime, style="bold"), justify="right")
        for row in self.rows:
            cells = [broken(cell, name_width) if row.is_name else cell for cell in row.cells]
            texts = [Text(text, style=row.style) for text in (row.label, *cells)]
            table.add_row(*texts, end_section=row.ruled)
        return table

    # ---------------------------------------------------- a row for each regime

    def _chunks(self, width: int) -> Iterator[list[TableRow]]:
        """The rows of each table in which they are columns."""
        room = width - max(map(len, (self.corner, *self.regimes)))
        chunk: list[TableRow] = []
        for row in self.rows:
            if chunk and sum(_turned_width(r) + GAP for r in (*chunk, row)) > room:
                yield chunk
                chunk = []
            chunk.append(row)
        if chunk:
            yield chunk

    def _turned(self, rows: Sequence[TableRow]) -> Table:
        table = ruled_table()
        table.add_column(Text(self.corner, style="bold"), no_wrap=True)
        for row in rows:
            heading = broken(row.label, _turned_width(row))
            table.add_column(Text(heading, style="bold"), justify="right")
        for column, regime in enumerate(self.regimes):
            cells = [_turned_cell(row, column) for row in rows]
            table.add_row(regime, *(Text(cell, style=r.style) for cell, r in zip(cells, rows, strict=True)))
        return table


def _turned_cell(row: TableRow, column: int) -> str:
    return broken(row.cells[column], NAME_WIDTH) if row.is_name else row.cells[column]


def _turned_width(row: TableRow) -> int:
    """Cells of a row that is a column: its heading may be broken between words."""
    lines = [line for column in range(len(row.cells)) for line in _turned_cell(row, column).splitlines()]
    return max(map(len, (*row.label.split(), *lines)))
