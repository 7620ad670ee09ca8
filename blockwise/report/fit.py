"""What would fit, on the terminal: the front as a table, or the nearest miss and what would do."""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from blockwise.fit.confirm import Confirmed
from blockwise.fit.networks import BALANCING_HEAD
from blockwise.fit.result import FitResult, FrontRow, Miss
from blockwise.fit.space import Candidate
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT, broken, duration, join, kib, shape, short_category, size
from blockwise.statistics.shares import apart

HEADINGS = ("peak\nKiB", "MMAC\n/im.", "s\n/im.", "flash\nKiB/im.", "arena\nKiB")
COMMAND_WIDTH = 78
"""Columns of a command's lines, so that they stand in any terminal."""
NAME_WIDTH = 10
"""Longer names of optimizers and norms are broken over lines."""


@dataclass(frozen=True)
class Setting:
    """A column of the table; where all rows agree it is told above the table instead."""

    heading: str
    cell: Callable[[Candidate], str]
    sentence: Callable[[str], str] = str


SETTINGS = (
    Setting("cut", lambda c: c.blocks or ABSENT, lambda text: f"cut {text}"),
    Setting("head", lambda c: c.head or ABSENT, lambda text: f"head {text}"),
    Setting("norm", lambda c: c.norm, lambda text: f"{text} norm"),
    Setting("batch", lambda c: str(c.batch), lambda text: f"batch {text}"),
    Setting("optimizer", lambda c: c.optimizer),
    Setting("bits", lambda c: bits(c)),
    Setting("update", lambda c: c.update, lambda text: f"update {text}"),
)


def render(result: FitResult, limit: int | None = None) -> RenderableType:
    """The counts, then at most ``limit`` rows of the front, or the nearest miss."""
    parts: list[RenderableType] = [Text(counts(result), style="bold"), Text(subject(result))]
    if result.front:
        rows = result.front[:limit]
        parts += [_above(Text(front_sentence(result, rows))), _above(front_table(result, rows))]
        parts += [_above(notes(result)), _above(commands(result, rows))]
    elif result.nearest:
        parts += [_above(Text(miss_sentence(result, result.nearest)))]
        parts += [_above(tensor_table(result.nearest)), _above(Text(board_sentence(result)))]
    return Group(*parts)


def counts(result: FitResult) -> str:
    """How many were looked at, how many fit, in which time."""
    until = " until nothing changed" if result.closed else ""
    grown = f" of {result.possible:,}, an even sample and what is next to its best{until}"
    of = grown if result.sampled else ""
    dropped = ""
    if result.dropped:
        dropped = f" ({result.dropped:,} tried for the front do not once cut for their own step and placed)"
    return (
        f"{result.looked_at:,} candidates{of}; {result.fitting:,} fit by the sum of their live bytes"
        f"{dropped}; {duration(result.seconds)}."
    )


def subject(result: FitResult) -> str:
    """The network and the board."""
    c = result.conditions
    model = c["model"]
    width = f" at width {model['width']}" if model["width"] else ""
    return (
        f"{model['name']}{width}, {shape(tuple(model['in_shape']))}, {model['classes']} "
        f"classes, {model['method']}; {c['device_title']}, {size(result.usable_bytes)} usable of "
        f"{size(c['ram_bytes'])} of RAM."
    )


def front_sentence(result: FitResult, rows: tuple[FrontRow, ...]) -> str:
    """What the rows are, what they agree in, and how many are not shown."""
    agreed = [s.sentence(s.cell(rows[0].confirmed.candidate)) for s in SETTINGS if not _differs(s, rows)]
    same = f" All: {join(agreed)}." if agreed else ""
    more = len(result.front) - len(rows)
    hidden = f" {more} more with higher peaks are not shown (--limit)." if more else ""
    return f"{_claim(result)} Each has a place on the board.{same}{hidden}"


def _claim(result: FitResult) -> str:
    """Only of what was measured: what was not may be better."""
    better = "is better in peak, multiply-accumulates per image and flash traffic per image at once"
    if not result.sampled:
        return f"No other of the {result.possible:,} candidates {better}."
    found = f"No other of the {result.looked_at:,} candidates looked at, of {result.possible:,}, {better}"
    if result.closed:
        return f"{found}; all that differ from a row in one setting are among them. Others may be."
    return f"{found}; others may be, also such as differ from a row in one setting."


def front_table(result: FitResult, rows: tuple[FrontRow, ...]) -> Ruled:
    """One row per candidate of the front, the lowest peak first."""
    settings = [s for s in SETTINGS if _differs(s, rows)]
    accuracies = any(row.accuracy is not None for row in rows)
    table = ruled_table()
    table.add_column(Text("#", style="bold"), justify="right", no_wrap=True)
    table.add_column(Text("regime", style="bold"), no_wrap=True)
    for setting in settings:
        justify = "right" if setting.heading == "batch" else "left"
        table.add_column(Text(setting.heading, style="bold"), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for heading in (*HEADINGS, *(["test"] if accuracies else [])):
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    for number, choice in enumerate(rows, 1):
        candidate = choice.confirmed.candidate
        names = [broken(s.cell(candidate), NAME_WIDTH) for s in settings]
        reached = [_accuracy(choice, rows)] if accuracies else []
        table.add_row(
            str(number), broken(regime(candidate), NAME_WIDTH), *names, *_figures(result, choice), *reached
        )
    return Ruled(table)


def _figures(result: FitResult, choice: FrontRow) -> tuple[str, ...]:
    measured = choice.confirmed.measured
    return (
        kib(measured.peak_bytes),
        f"{measured.macs_per_image / 1e6:,.2f}", _seconds(choice.confirmed),
        _flash(measured.flash_bytes_per_image),
        kib(choice.confirmed.arena_bytes),
    )  # fmt: skip


def _seconds(confirmed: Confirmed) -> str:
    """Of an image; with a star where multiply-accumulates alone tell it."""
    seconds = confirmed.seconds_per_image
    if seconds is None:
        return ABSENT
    star = "*" if confirmed.time.basis == "products" else ""
    return f"{seconds:.3g}{star}"


def _accuracy(choice: FrontRow, rows: tuple[FrontRow, ...]) -> str:
    """Marked where it is above those of all trained rows with as low a peak, their intervals apart."""
    reached, images = choice.accuracy, choice.test_images
    if reached is None:
        return ABSENT
    leaner = [r.accuracy for r in rows if r.accuracy is not None and r is not choice and _leaner(r, choice)]
    best = all(reached > other and apart(reached, other, images) for other in leaner)
    return f"{100 * reached:.1f}{' +' if best else '  '}"


def _leaner(row: FrontRow, choice: FrontRow) -> bool:
    return row.confirmed.measured.peak_bytes <= choice.confirmed.measured.peak_bytes


def commands(result: FitResult, rows: tuple[FrontRow, ...]) -> RenderableType:
    """What runs each row, ready to be pasted."""
    lines = ["Commands, by row:"]
    for number, choice in enumerate(rows, 1):
        lines += [f"# {number}", *in_lines(result.command(choice.confirmed.candidate))]
    return Text("\n".join(lines))


def in_lines(command: Sequence[str], width: int = COMMAND_WIDTH) -> list[str]:
    """A command as a shell takes it, over lines that end in a backslash."""
    lines = [command[0]]
    for part in re.split(r" (?=--)", shlex.join(command[1:])):  # a flag with its values
        if len(lines[-1]) + len(part) + 3 > width:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {part}"
    return lines


def _flash(per_image: float) -> str:
    return kib(round(per_image)) if per_image else ABSENT


def miss_sentence(result: FitResult, miss: Miss) -> str:
    """Which candidate comes nearest, and by how much it misses."""
    lacks = [
        f"{size(count)} of {what} missing"
        for count, what in ((miss.ram_missing_bytes, "RAM"), (miss.flash_missing_bytes, "flash"))
        if count
    ]
    peak = miss.confirmed.measured.peak_bytes
    note = ""
    if miss.ram_missing_bytes and peak <= result.usable_bytes:
        note = "; the sum of its bytes fits, but no place was found for all of its tensors"
    nothing = (
        f"None of the {result.looked_at:,} candidates looked at, of {result.possible:,}, fits."
        if result.sampled
        else "Nothing fits."
    )
    return (
        f"{nothing} Nearest: {describe(miss.confirmed.candidate)}: a peak of {size(peak)}, "
        f"{join(lacks)}{note}. Alive at its peak ({miss.peak_operation}), the largest first:"
    )


def tensor_table(miss: Miss) -> Ruled:
    """The largest tensors at the peak of the nearest miss."""
    table = ruled_table()
    for heading in ("tensor", "of", "category"):
        table.add_column(Text(heading, style="bold"))
    table.add_column(Text("bytes", style="bold"), justify="right", no_wrap=True)
    for tensor in miss.tensors:
        table.add_row(tensor.name, tensor.owner, short_category(tensor.category), f"{tensor.bytes:,}")
    return Ruled(table)


def board_sentence(result: FitResult) -> str:
    """The smallest board that would do."""
    board = result.smallest_board
    if board is None:
        return "No built-in board was found on which a candidate fits."
    return (
        f"The smallest built-in board found that would do: {board.title} (--device {board.name}), "
        f"{size(board.usable_bytes)} usable: {describe(board.confirmed.candidate)}, "
        f"{size(board.confirmed.measured.peak_bytes)}."
    )


def _accuracy_note(result: FitResult) -> str:
    """What is said of trained rows; empty where there is none."""
    images = {row.test_images for row in result.front if row.accuracy is not None}
    if not images:
        return ""
    return (
        f"Test: accuracy in percent on {max(images):,} images, one seed; + where it is above that of every "
        "trained row with as low a peak, their 95 % intervals apart. "
    )


def notes(result: FitResult) -> RenderableType:
    """How the figures came about."""
    balance = result.space.reference
    return Text(
        f"{_accuracy_note(result)}"
        f"N blocks are balanced for {balance} in the search, those shown for their own step; where there are "
        f"no heads, as with head {BALANCING_HEAD}. Of others with the same figures (--json: ties) shown "
        "is the one with most bits, the largest batch, batch norm. Seconds on the board are estimates "
        "of the instructions of the firmware's kernels; * of multiply-accumulates alone. --json tells what "
        "they rest on."
    )


def describe(candidate: Candidate) -> str:
    """A candidate in words."""
    parts = [regime(candidate)]
    parts += [s.sentence(s.cell(candidate)) for s in SETTINGS if s.cell(candidate) != ABSENT]
    return ", ".join(parts)


def regime(candidate: Candidate) -> str:
    """The regime, with the size of its micro-batch."""
    return candidate.regime + (f":{candidate.micro_batch}" if candidate.micro_batch else "")


def bits(candidate: Candidate) -> str:
    """W3A3, or fp32."""
    if candidate.is_float:
        return "fp32"
    return f"W{candidate.weight_bits}A{candidate.activation_bits}"


def _differs(setting: Setting, rows: tuple[FrontRow, ...]) -> bool:
    return len({setting.cell(row.confirmed.candidate) for row in rows}) > 1


def _above(part: RenderableType) -> Padding:
    return Padding(part, (1, 0, 0, 0))
