"""Several seeds of one comparison in a table: mean, standard deviation, and each seed's accuracy."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from blockwise.experiment.result import Result
from blockwise.experiment.seeds import OverSeeds, Seeds
from blockwise.report.columns import verdict
from blockwise.report.facts import subject
from blockwise.report.side_by_side import SideBySide, TableRow
from blockwise.report.spreads import TESTS, lost_words, points_words, standing_words, tests_words
from blockwise.report.text import ABSENT, DIVERGED, interval, kib, percent
from blockwise.report.verdict import headline

NOTE = (
    "the deviation is that of a sample, the interval that of the mean (Student's t); seeds at chance are in "
    "the mean, what diverged has no accuracy"
)


def seeds_report(first: Result, found: Seeds) -> RenderableType:
    """What fits, which is the same for all seeds, and how well it trains. ``first`` is that of one seed."""
    note = f"test accuracy over {len(found.seeds)} seeds, on {first.data.test:,} test images; {NOTE}. {TESTS}"
    return Group(
        *map(Text, subject(first)),
        Text(headline(first), style="bold green" if first.fits else "bold red"),
        *(Text(words) for words in [standing_words(found.standing)] if words),
        Padding(SideBySide("", [row.regime for row in found.regimes], _rows(first, found)), (1, 0, 0, 0)),
        Text(note, style="dim"),
    )


def seeds_answer(first: Result, found: Seeds) -> str:
    """In one line."""
    means = [f"{row.regime} {_mean(row)} (deviation {_deviation(row)})" for row in found.regimes]
    told = f"{headline(first)} Mean test accuracy of {len(found.seeds)} seeds: {', '.join(means)}."
    return " ".join(filter(None, (told, standing_words(found.standing))))


def _rows(first: Result, found: Seeds) -> list[TableRow]:
    regimes = found.regimes
    each = [
        TableRow(f"seed {seed}", tuple(_accuracy(row.accuracies[index]) for row in regimes))
        for index, seed in enumerate(found.seeds)
    ]
    beside, p = f"- {regimes[0].regime}", f"p, as {regimes[0].regime}"
    return [
        TableRow("peak KiB", tuple(kib(row.peak_bytes) for row in first.regimes)),
        TableRow("board", tuple(verdict(row, first.device) for row in first.regimes), ruled=True),
        TableRow("mean", tuple(map(_mean, regimes)), "bold"),
        TableRow("deviation", tuple(map(_deviation, regimes))),
        TableRow("95 % of mean", tuple(map(_interval, regimes))),
        *([TableRow("lost", tuple(map(_lost, regimes)))] if any(map(_losses, regimes)) else []),
        TableRow(beside, tuple(points_words(row.beside) for row in regimes)),
        TableRow(p, tuple(tests_words(row.beside) for row in regimes), ruled=True),
        *each,
    ]


def _interval(row: OverSeeds) -> str:
    return ABSENT if row.interval is None else interval(*row.interval)


def _losses(row: OverSeeds) -> int:
    return row.diverged + row.at_chance


def _lost(row: OverSeeds) -> str:
    """How many seeds lost their way, and how."""
    return lost_words(row.diverged, row.at_chance).removeprefix(", ") or ABSENT


def _accuracy(accuracy: float | None) -> str:
    return DIVERGED if accuracy is None else percent(accuracy)


def _mean(row: OverSeeds) -> str:
    return _accuracy(row.mean)


def _deviation(row: OverSeeds) -> str:
    return ABSENT if row.deviation is None else percent(row.deviation)
