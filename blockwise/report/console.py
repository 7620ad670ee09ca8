"""The report on the terminal: the verdict first, then what it rests on."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.backpropagation import baseline_table, best_line
from blockwise.report.boards import BESIDE, LEGEND, boards_table, obstacle_notes
from blockwise.report.facts import facts, paper_lines, run_line
from blockwise.report.paging import paging_lines
from blockwise.report.screens import screen
from blockwise.report.tables import (
    accuracy_table,
    batch_note,
    host_table,
    memory_table,
    one_by_one_note,
    same_bits_note,
    tensor_table,
)
from blockwise.report.times import NOTE, has_times, time_notes, time_table
from blockwise.system.streams import accept_any_text

PLAIN_WIDTH, WHOLE_WIDTH = 100, 1000
"""Columns of a report that goes to a file or a pipe, and most of a table that stands there alone."""


def make_console(stderr: bool = False, stream: TextIO | None = None) -> Console:
    """A console on stdout (or stderr, or ``stream``) that emits escape codes only where wanted.

    Plain text when the stream is no terminal or NO_COLOR is set. Where the encoding is not UTF-8
    everything is drawn in ASCII, and characters of names that it lacks are printed as "?".
    """
    target = stream or (sys.stderr if stderr else sys.stdout)
    terminal = target.isatty()
    plain = not terminal or bool(os.environ.get("NO_COLOR"))
    accept_any_text(target)
    return Console(
        file=target,
        force_terminal=terminal,  # otherwise FORCE_COLOR would put codes into files
        force_jupyter=False,
        color_system=None if plain else "auto",  # None also drops bold and dim
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_report(result: Result, console: Console, folder: Path | None = None, *, full: bool = False) -> None:
    """Print the first screen, or with ``full`` :func:`render`."""
    show(render(result, folder) if full else screen(result, folder, whole=False), console)


def show(renderable: RenderableType, console: Console) -> None:
    """Print; into files and pipes without the blanks that fill lines up."""
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as capture:
        console.print(renderable)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    console.file.write("\n".join([*lines, ""]))


def show_table(table: RenderableType, *notes: str, console: Console | None = None) -> None:
    """Print a table that stands alone, and what is said below it. In a file or a pipe no column is cut."""
    console = console or make_console()
    if not console.is_terminal:
        whole = Measurement.get(console, console.options.update(max_width=WHOLE_WIDTH), table).maximum
        console.width = max(console.width, whole)
    show(Group(table, *map(Text, filter(None, notes))), console)


def render(result: Result, folder: Path | None = None) -> RenderableType:
    """The whole report. ``folder`` is where ``result.files`` lie, if they were written."""
    parts: list[RenderableType] = [screen(dataclasses.replace(result, files={}))]
    parts += [title("What was compared"), labelled(facts(result))]
    if result.regimes:
        parts += [Padding(memory_table(result), (1, 0, 0, 0)), footnote(batch_note(result))]
    if result.boards:
        parts += [title("Boards", BESIDE), boards_table(result.boards)]
        parts += map(footnote, (LEGEND, *obstacle_notes(result.boards)))
    parts += [
        title("Backpropagation, plain and engineered", "peak and work of one step"),
        baseline_table(result),
        footnote(best_line(result)),
    ]
    if has_times(result):
        parts += [title("Time", NOTE), time_table(result), *map(footnote, time_notes(result))]
    for regime in result.regimes:
        parts += _paging(regime, result)
    if any(regime.training for regime in result.regimes):
        parts += [title("Accuracy", _training_note(result)), accuracy_table(result)]
        notes = filter(None, (one_by_one_note(result), same_bits_note(result)))
        parts += map(footnote, notes)
    if any(regime.host for regime in result.regimes):
        note = "what the simulation itself took"
        parts += [title("This computer, not the board", note), host_table(result)]
    parts += [*_notes(result, folder)]
    if any(regime.tensors_at_peak for regime in result.regimes):
        note = "the total first, then the largest tensors"
        parts += [title("Alive at the peak", note), tensor_table(result)]
    return Group(*parts)


def labelled(lines: dict[str, str]) -> Table:
    """Label and text in two columns, so that long lines hang."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, line in lines.items():
        grid.add_row(Text(label, style="bold"), Text(line))
    return grid


def title(text: str, note: str = "") -> RenderableType:
    """The heading of a section, with a remark beside it."""
    line = Text(text, style="bold underline")
    if note:
        line.append(f"  {note}", style="not bold not underline dim")
    return Padding(line, (1, 0, 0, 0))


def footnote(text: str) -> Text:
    """A remark under a table."""
    return Text(text, style="dim")


def _paging(regime: RegimeResult, result: Result) -> list[RenderableType]:
    """The section of a regime that pages."""
    if regime.paging is None:
        return []
    lines = paging_lines(regime.paging, result, regime.mapped_bytes)
    return [title("Paging to flash", regime.regime), labelled(lines)]


def _training_note(result: Result) -> str:
    data = result.data
    chosen = (
        f"epoch chosen on {data.validation:,} validation images, of equal ones the latest"
        if data.validation
        else "no validation images: the last epoch"
    )
    return f"{data.train:,} training images; {chosen}; {data.test:,} test images read once"


def _notes(result: Result, folder: Path | None) -> list[RenderableType]:
    """What qualifies the figures, and where they are kept."""
    parts: list[RenderableType] = [
        title("Paper accounting", "the reference study's formula, without batch norm; KiB"),
        *map(Text, paper_lines(result)),
    ]
    if result.assumptions:
        grid = labelled({})
        for text in result.assumptions:
            grid.add_row(Text("-"), Text(text))
        parts += [title("Assumptions"), grid]
    lines = {"Run": run_line(result)}
    if result.files:
        where = f" in {folder}" if folder else ""
        lines["Files"] = ", ".join(result.files.values()) + where
    return [*parts, Padding(labelled(lines), (1, 0, 0, 0))]
