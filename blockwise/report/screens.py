"""The first screen: does it fit, what is in the way and when, how accurate, how much work, what to change."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from blockwise.experiment.result import Result
from blockwise.report.advice import advice
from blockwise.report.boards import BESIDE, LEGEND, boards_table
from blockwise.report.facts import subject
from blockwise.report.regime_table import RegimeTable
from blockwise.report.tables import same_bits_note
from blockwise.report.times import SCREEN_NOTE
from blockwise.report.trainability import obstacles
from blockwise.report.verdict import accuracy_sentence, divergence_sentences, headline

MOST_OBSTACLES = 4
"""More regimes than these are told of in the full report."""


def screen(result: Result, folder: Path | None = None, *, whole: bool = True) -> RenderableType:
    """At most 40 lines at 80 columns under the default regimes; ``whole`` tells of all that does not fit.

    ``folder`` is where ``result.files`` lie, if they were written.
    """
    return Group(opening(result), more(result, folder, whole=whole))


def opening(result: Result) -> RenderableType:
    """What is planned, the verdict and the regimes: all that is known before changes are looked for."""
    parts: list[RenderableType] = [*map(Text, subject(result)), verdict_panel(result), RegimeTable(result)]
    same = same_bits_note(result)
    parts += [Text(note, style="dim") for note in (_time_note(result), same) if note]
    return Group(*parts)


def more(result: Result, folder: Path | None = None, *, whole: bool = True) -> RenderableType:
    """The rest of the screen: other boards, what is in the way, what to change, and the files."""
    parts: list[RenderableType] = []
    if result.boards:
        parts += [_title("Boards"), boards_table(result.boards), Text(f"{LEGEND} {BESIDE}", style="dim")]
    parts += _obstacles(result, whole)
    told = advice(result)
    if told:
        parts += [_title("To change"), *map(_item, told)]
    return Group(*parts, *_files(result, folder))


def _time_note(result: Result) -> str:
    return SCREEN_NOTE if any(r.time and r.time.basis == "products" for r in result.regimes) else ""


def verdict_panel(result: Result) -> Panel:
    """The answer in a frame: the headline, the accuracy, the work, and what diverged."""
    text = Text.assemble((headline(result), "bold green" if result.fits else "bold red"))
    for sentence in (accuracy_sentence(result, alone=False), *divergence_sentences(result)):
        if sentence:
            text.append(f" {sentence}")
    return Panel(text, title=Text(" Verdict "), title_align="left", padding=(0, 1))


def _obstacles(result: Result, whole: bool) -> list[RenderableType]:
    found = list(obstacles(result, whole=whole).items())
    if not found:
        return []
    most = len(found) if whole else MOST_OBSTACLES
    lines = [_item(sentence, f"{regime}: ") for regime, sentence in found[:most]]
    left = len(found) - most
    if left > 0:
        lines.append(Text(f"  and {left} more: --full", style="dim"))
    return [_title("In the way"), *lines]


def _title(text: str) -> Text:
    return Text(text, style="bold underline")


def _item(sentence: str, label: str = "") -> RenderableType:
    """A sentence whose lines hang behind a dash."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("-"), Text.assemble((label, "bold"), sentence))
    return grid


def _files(result: Result, folder: Path | None) -> list[RenderableType]:
    if not result.files:
        return []
    where = f" in {folder}" if folder else ""
    parts = [Text(f"Files: {', '.join(result.files.values())}{where}")]
    if folder:
        parts.append(Text(f"All tables: run.py show {folder} --full"))
    return [*parts]
