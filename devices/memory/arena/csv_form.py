"""Buffers as CSV, in the form that MiniMalloc (github.com/google/minimalloc) reads and writes.

A header names the columns, in any order: ``id``, ``lower``, ``upper`` (exclusive) and ``size``.
``alignment`` is understood if it is the same for all, ``gaps`` if there are none; a ``hint`` is
left aside. The answer has the same columns and ``offset``.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devices.errors import InputError, unknown_name
from devices.memory.arena.buffers import MAX_NUMBER, Arena, Buffer

REQUIRED = ("id", "lower", "upper", "size")
OPTIONAL = ("alignment", "gaps", "hint", "offset")


@dataclass(frozen=True)
class Table:
    """What a file holds: buffers, their common alignment in bytes, and offsets if it has them.

    ``others`` are the columns that are optional, as they stand there.
    """

    buffers: tuple[Buffer, ...]
    alignment: int = 1
    offsets: Mapping[str, int] | None = None
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(path: Path) -> Table:
    """The buffers in ``path``. Raises InputError naming the file and line of whatever is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise InputError(
            str(path), got=reason, wanted="a readable CSV file", do="check the path and its permissions"
        ) from error
    return parse(text, str(path))


def parse(text: str, file: str = "<csv>") -> Table:
    """The buffers that ``text`` lists; errors begin with ``file``."""
    lines = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(row)]
    except csv.Error as error:
        raise InputError(file, got=str(error), wanted="a CSV file", do="check that it is one") from error
    if len(rows) < 2:
        got = "a header and no buffer" if rows else "an empty file"
        raise InputError(
            file, got=got, wanted=f"a header {','.join(REQUIRED)} and a line per buffer", do="fill it"
        )
    (_, header), *body = rows
    _check_header(header, file)
    records = [_record(header, row, f"{file}:{number}") for number, row in body]
    buffers = tuple(record.buffer for record in records)
    seen: set[str] = set()
    for record in records:
        name = record.buffer.name
        if name in seen:
            raise InputError(
                record.where, got=f"the id {name!r} again", wanted="each id once", do="rename one"
            )
        seen.add(name)
    alignments = sorted({record.alignment for record in records})
    if len(alignments) > 1:
        raise InputError(
            file, got=f"alignments {alignments[0]} to {alignments[-1]}", do="use the largest throughout",
            wanted="one alignment for all buffers",
        )  # fmt: skip
    offsets = {r.buffer.name: r.offset for r in records if r.offset is not None}
    columns = dict(zip(header, zip(*(row for _, row in body), strict=True), strict=True))
    others = {name: columns[name] for name in header if name in OPTIONAL and name != "offset"}
    return Table(buffers, alignments[0], offsets if "offset" in header else None, others)


def dumps(arena: Arena, others: Mapping[str, Sequence[str]] | None = None) -> str:
    """``arena`` as CSV: its buffers in their order, with ``others`` of a table and offsets."""
    columns = dict(others or {})
    if arena.alignment > 1:
        columns.setdefault("alignment", [str(arena.alignment)] * len(arena.buffers))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*REQUIRED, *columns, "offset"))
    for buffer, *rest in zip(arena.buffers, *columns.values(), strict=True):
        offset = arena.offsets[buffer.name]
        writer.writerow((buffer.name, buffer.lower, buffer.upper, buffer.size, *rest, offset))
    return out.getvalue()


@dataclass(frozen=True)
class _Record:
    where: str
    buffer: Buffer
    alignment: int
    offset: int | None


def _check_header(header: list[str], file: str) -> None:
    for name in REQUIRED:
        if name not in header:
            raise InputError(
                file, got=f"no column {name!r}", wanted=f"the columns {', '.join(REQUIRED)}",
                do="name the columns in the first line; upper is exclusive",
            )  # fmt: skip
    for name in header:
        if name not in REQUIRED + OPTIONAL:
            raise unknown_name(f"{file}: column", name, REQUIRED + OPTIONAL)
        if header.count(name) > 1:
            raise InputError(
                file, got=f"the column {name!r} twice", wanted="each column once", do="remove one"
            )


def _record(header: list[str], row: list[str], where: str) -> _Record:
    if len(row) != len(header):
        raise InputError(
            where, got=f"{len(row)} fields", wanted=f"{len(header)}, as in the header", do="correct the line"
        )
    cells = dict(zip(header, row, strict=True))
    if not cells["id"].isprintable():
        raise InputError(
            where, got=f"the id {cells['id'][:40]!r}", wanted="letters, digits and signs that can be printed",
            do="rename it",
        )  # fmt: skip
    if cells.get("gaps"):
        raise InputError(
            where, got=f"gaps {cells['gaps']!r}", wanted="buffers that live without a break",
            do="give each stretch an id of its own",
        )  # fmt: skip
    lower, upper, size = (_number(cells, name, where) for name in ("lower", "upper", "size"))
    if size < 0:
        raise InputError(where, got=f"size {size}", wanted="0 or more", do="correct the line")
    if lower >= upper:
        raise InputError(
            where, got=f"lower {lower} and upper {upper}", wanted="lower < upper (upper is exclusive)",
            do="correct the line",
        )  # fmt: skip
    alignment = _number(cells, "alignment", where) if "alignment" in cells else 1
    if alignment < 1:
        raise InputError(where, got=f"alignment {alignment}", wanted="1 or more", do="correct the line")
    offset = _number(cells, "offset", where) if "offset" in cells else None
    return _Record(where, Buffer(cells["id"], size, lower, upper), alignment, offset)


def _number(cells: Mapping[str, str], name: str, where: str) -> int:
    try:
        value = int(cells[name])
    except ValueError:
        value = MAX_NUMBER
    if abs(value) >= MAX_NUMBER:
        raise InputError(
            where,
            got=f"{name} {cells[name][:40]!r}",
            wanted="a whole number below 2^48",
            do="correct the line",
        )
    return value
