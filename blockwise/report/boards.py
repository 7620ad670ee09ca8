"""One network on several boards, on the terminal: boards by regimes, and the smallest that trains it."""

from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from blockwise.experiment.board_rows import BoardRow, OnBoard
from blockwise.report.side_by_side import SideBySide, TableRow
from blockwise.report.text import ABSENT, duration, join, kib, shape, size
from devices.program.regimes import find

if TYPE_CHECKING:
    from blockwise.experiment.boards import BoardsResult

LEGEND = "KiB of usable RAM that are left where a regime fits, or else missing."
NO_PRICES = "By size, not by price: profiles of boards have no prices. --json tells the local heads."
UNREAD = "unread flash"
UNREAD_NOTE = (
    f"{UNREAD}: no address is known at which the core would read the weights of --frozen flash in place; "
    "--frozen ram keeps them in RAM."
)
UNKNOWN, BY_PRODUCTS = "?", "*"
TIMES = (
    "Estimates, of the instructions of the firmware's kernels; * of multiply-accumulates alone; ? no figure "
    "with a source. run.py --device tells what they rest on."
)
BESIDE = "The network is the one trained here, with its head and cut."


def render(result: "BoardsResult") -> RenderableType:
    """The network, the table, what it means, and the smallest board."""
    parts: list[RenderableType] = [Text(answer(result), style="bold"), Text(subject(result))]
    parts += [Padding(boards_table(result.rows), (1, 0, 0, 0)), *_dim(LEGEND, NO_PRICES)]
    parts += _dim(*obstacle_notes(result.rows))
    if result.smallest:
        parts += [Padding(times_table(result.rows), (1, 0, 0, 0)), *_dim(TIMES)]
    return Group(*parts)


def _dim(*notes: str) -> list[RenderableType]:
    return [Text(note, style="dim") for note in notes]


def answer(result: "BoardsResult") -> str:
    """The smallest board on which a regime fits, and which. It is not called cheapest: prices are unknown."""
    row = result.smallest
    best = None if row is None else row.leanest
    if row is None or best is None:
        return f"Boards that train {result.model} under one of these regimes: none of {len(result.rows)}."
    others = [cell.regime for cell in row.regimes if cell.fits and cell is not best]
    also = f"; {join(others)} too" if others else ""
    flag = f"--device {quote(row.asked or row.name)}"
    return (
        f"The smallest board that trains {result.model}: {row.title} ({flag}) by {best.regime}, "
        f"a peak of {size(best.peak_bytes)} in {size(row.usable_bytes)} of usable RAM{also}."
    )


def subject(result: "BoardsResult") -> str:
    """What is to be trained."""
    width = f" of width {result.width:g}" if result.width is not None else ""
    integers = all(find(cell.regime).is_integer for row in result.rows for cell in row.regimes)
    method = "" if integers else f"{result.method} {result.bits}, "
    return (
        f"{result.model}{width}, {shape(result.in_shape)}, {result.classes} classes, {result.parameters:,} "
        f"parameters; {method}batch {result.batch_size}."
    )


def boards_table(rows: tuple[BoardRow, ...]) -> SideBySide:
    """A row for each board, a column for each regime."""
    columns = ["usable", *(cell.regime for cell in rows[0].regimes)]
    lines = []
    for row in rows:
        cells = (kib(row.usable_bytes), *(_cell(cell, row.usable_bytes) for cell in row.regimes))
        lines.append(TableRow(row.name, cells, style="bold" if row.leanest else ""))
    return SideBySide("board", columns, lines)


def _cell(found: OnBoard, usable: int) -> str:
    if found.obstacle:
        return ABSENT
    if found.fits:
        return f"fits, {kib(usable - found.peak_bytes)}"
    if not found.flash_is_read:
        return UNREAD
    if found.missing_bytes:
        return f"lacks {kib(found.missing_bytes)}"
    return f"lacks {kib(found.flash_missing_bytes)} flash"


def times_table(rows: tuple[BoardRow, ...]) -> SideBySide:
    """How long a step takes where it fits."""
    fitting = [row for row in rows if row.leanest]
    columns = ["MHz", *(cell.regime for cell in rows[0].regimes)]
    lines = [TableRow(row.name, (f"{row.clock_mhz:g}", *map(_time, row.regimes))) for row in fitting]
    return SideBySide("time of a step", columns, lines)


def _time(found: OnBoard) -> str:
    if not found.fits:
        return ""
    if found.step_seconds is None:
        return UNKNOWN
    return duration(found.step_seconds) + (BY_PRODUCTS if found.basis == "products" else "")


def obstacle_notes(rows: tuple[BoardRow, ...]) -> list[str]:
    """Why cells have a dash, or tell of flash that is not read, each reason once."""
    where: dict[str, dict[str, None]] = {}
    for row in rows:
        for cell in row.regimes:
            if cell.obstacle:
                where.setdefault(cell.obstacle, {})[cell.regime] = None
    notes = [f"{ABSENT} {join([*names])} cannot run: {reason}" for reason, names in where.items()]
    unread = any(not cell.flash_is_read for row in rows for cell in row.regimes)
    return [*notes, UNREAD_NOTE] if unread else notes
