"""Several seeds of one comparison in a table: mean, standard deviation, and each seed's accuracy."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from blockwise.experiment.result import Result
from blockwise.experiment.seeds import OverSeeds, Seeds
from blockwise.report.columns import verdict
from blockwise.report.facts import subject
from blockwise.report.side_by_side import SideBySide, TableRow
from blockwise.report.text import ABSENT, DIVERGED, kib, percent
from blockwise.report.verdict import headline


def seeds_report(first: Result, found: Seeds) -> RenderableType:
    """What fits, which is the same for all seeds, and how well it trains. ``first`` is that of one seed."""
    note = (
        f"test accuracy over {len(found.seeds)} seeds, on {first.data.test:,} test images; the deviation is "
        "that of a sample"
    )
    return Group(
        *map(Text, subject(first)),
        Text(headline(first), style="bold green" if first.fits else "bold red"),
        Padding(SideBySide("", [row.regime for row in found.regimes], _rows(first, found)), (1, 0, 0, 0)),
        Text(note, style="dim"),
    )


def seeds_answer(first: Result, found: Seeds) -> str:
    """In one line."""
    means = [f"{row.regime} {_mean(row)} (deviation {_deviation(row)})" for row in found.regimes]
    return f"{headline(first)} Mean test accuracy of {len(found.seeds)} seeds: {', '.join(means)}."


def _rows(first: Result, found: Seeds) -> list[TableRow]:
    regimes = found.regimes
    each = [
        TableRow(f"seed {seed}", tuple(_accuracy(row.accuracies[index]) for row in regimes))
        for index, seed in enumerate(found.seeds)
    ]
    return [
        TableRow("peak KiB", tuple(kib(row.peak_bytes) for row in first.regimes)),
        TableRow("board", tuple(verdict(row, first.device) for row in first.regimes), ruled=True),
        TableRow("mean", tuple(map(_mean, regimes)), "bold"),
        TableRow("deviation", tuple(map(_deviation, regimes)), ruled=True),
        *each,
    ]


def _accuracy(accuracy: float | None) -> str:
    return DIVERGED if accuracy is None else percent(accuracy)


def _mean(row: OverSeeds) -> str:
    return _accuracy(row.mean)


def _deviation(row: OverSeeds) -> str:
    return ABSENT if row.deviation is None else percent(row.deviation)
