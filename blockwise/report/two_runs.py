"""Two results beside each other: settings that differ, peaks by category, accuracies and work."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.columns import accuracy_words, epochs, total_work, verdict
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT, KIB, kib, ordered_categories, percent
from blockwise.statistics.shares import apart

RUNS = ("first", "second")


def difference(first: Result, second: Result, names: tuple[str, str]) -> RenderableType:
    """All that differs of two runs, called by ``names``; what is equal is left out, or said to be."""
    parts: list[RenderableType] = [Text(f"{which}: {name}") for which, name in zip(RUNS, names, strict=True)]
    parts.append(_settings(first, second))
    ours = {regime.regime: regime for regime in first.regimes}
    theirs = {regime.regime: regime for regime in second.regimes}
    for name in dict.fromkeys((*ours, *theirs)):
        parts.append(_regime(name, (ours.get(name), theirs.get(name)), (first, second)))
    return Group(*parts)


def differing(first: Result, second: Result) -> dict[str, tuple[Any, Any]]:
    """Settings of the configurations that are not equal, and the data and versions behind them."""
    sides = [_settings_of(result) for result in (first, second)]
    if first.data.contents and second.data.contents:  # of runs of earlier versions it is not known
        for side, result in zip(sides, (first, second), strict=True):
            side["digest of the samples"] = result.data.contents
    keys = dict.fromkeys((*sides[0], *sides[1]))
    pairs = {key: (sides[0].get(key), sides[1].get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _settings_of(result: Result) -> dict[str, Any]:
    """What a run was told and what it ran with."""
    data, board, model = result.data, result.device, result.model
    initial = result.initial
    behind = {
        "test images": data.test, "training images": data.train, "classes of the data": data.classes,
        "values that became 0": data.low, "values that became 255": data.high,
        "usable RAM": board.usable_bytes, "longest run of RAM": board.largest_contiguous_bytes,
        "flash": board.flash_bytes, "clock in MHz": board.clock_mhz, "core": board.core,
        "parameters": model.parameters, "input": model.in_shape, "parameters of blocks": model.blocks,
        "digest of the first weights": initial and initial.digest,
        "taken of them": initial and initial.values,
    }  # fmt: skip
    without = {"data": None} if result.config.get("in_shape") else {}  # planned of a shape alone
    return {**result.config, **without, **behind, **result.environment}


def _settings(first: Result, second: Result) -> RenderableType:
    found = differing(first, second)
    if not found:
        return Padding(Text("the same settings"), (1, 0, 0, 0))
    table = ruled_table()
    for heading in ("setting", *RUNS):
        table.add_column(Text(heading, style="bold"), overflow="fold")
    for key, values in found.items():
        table.add_row(*(Text(text) for text in (key, *map(_word, values))))
    return Padding(Ruled(table), (1, 0, 0, 0))


def _word(value: object) -> str:
    if value is None or value == "":
        return ABSENT
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _regime(
    name: str, pair: tuple[RegimeResult | None, RegimeResult | None], results: tuple[Result, Result]
) -> RenderableType:
    """A table of one regime: bytes with their difference, then accuracy and work."""
    table = ruled_table()
    table.add_column(Text(name, style="bold"), no_wrap=True)
    for heading in (*RUNS, "difference"):
        table.add_column(Text(heading, style="bold"), justify="right")
    for cells in (*_bytes(pair), *_outcomes(pair, results)):
        table.add_row(*map(Text, cells))
    return Padding(Ruled(table), (1, 0, 0, 0))


def _bytes(pair: tuple[RegimeResult | None, RegimeResult | None]) -> Iterator[tuple[str, ...]]:
    """The peak in KiB, and the categories that are not the same."""
    sides = [regime.by_category if regime else {} for regime in pair]
    rows = {"peak KiB": [regime.peak_bytes if regime else None for regime in pair]}
    for category in ordered_categories(*sides) if all(sides) else ():
        counts: list[int | None] = [side.get(category, 0) for side in sides]
        if counts[0] != counts[1]:
            rows[f"  {category}"] = counts
    for label, (a, b) in rows.items():
        change = ABSENT if a is None or b is None else "0" if a == b else f"{(b - a) / KIB:+,.1f}"
        yield label, _kib(a), _kib(b), change


def _kib(count: int | None) -> str:
    return ABSENT if count is None else kib(count)


def _outcomes(
    pair: tuple[RegimeResult | None, RegimeResult | None], results: tuple[Result, Result]
) -> Iterator[tuple[str, ...]]:
    """The verdict, the accuracy with its interval, epochs and work."""
    sides = list(zip(pair, results, strict=True))

    def row(label: str, cell: Callable[[RegimeResult, Result], str], change: str = "") -> tuple[str, ...]:
        return label, *(cell(regime, result) if regime else ABSENT for regime, result in sides), change

    yield row("board", lambda regime, result: verdict(regime, result.device))
    if any(regime and regime.training for regime in pair):
        yield row("accuracy (95 %)", accuracy_words, _change_of_accuracy(pair, results))
        yield row("epochs", lambda regime, _: epochs(regime))
        yield row("GMAC in all", lambda regime, _: total_work(regime))
    yield row("MMAC/step", lambda regime, _: f"{regime.macs_per_step / 1e6:,.1f}")


def _change_of_accuracy(
    pair: tuple[RegimeResult | None, RegimeResult | None], results: tuple[Result, Result]
) -> str:
    """In points; a tie where the intervals on so many test images overlap."""
    a, b = (regime.test_accuracy if regime else None for regime in pair)
    if a is None or b is None:
        return ABSENT
    images, of_b = (result.data.test for result in results)
    points = percent(b - a).replace(" %", "")
    return f"{'+' if b >= a else ''}{points} points" + ("" if apart(a, b, images, of_b) else ", a tie")
