"""The figures of the first screen, a column each, with a cell for every regime."""

from collections.abc import Callable
from dataclasses import dataclass

from blockwise.experiment.result import DeviceInfo, RegimeResult, Result
from blockwise.report.facts import plain_backpropagation
from blockwise.report.text import ABSENT, DIVERGED, epochs_words, fits_words, kib, percent, times
from blockwise.report.times import has_times, step_words
from blockwise.statistics.shares import wilson
from devices.program.regimes import PLAIN

Cell = Callable[[RegimeResult], str]


@dataclass(frozen=True)
class Column:
    """A heading and one cell for every regime."""

    heading: str
    cells: tuple[str, ...]
    verdict: bool = False  # whether it says if a regime fits

    @property
    def width(self) -> int:
        """Characters that it takes."""
        return max(map(len, (self.heading, *self.cells)))


def memory_columns(result: Result) -> list[Column]:
    """The peak, beside the RAM, and the verdict."""
    device = result.device
    return [
        _column("KiB", result, lambda r: kib(r.peak_bytes)),
        _column("of RAM", result, lambda r: times(r.peak_bytes, device.usable_bytes)),
        _column("board", result, lambda r: verdict(r, device), verdict=True),
    ]


def accuracy_columns(result: Result) -> list[Column]:
    """Test accuracy and its 95 % interval; nothing in a dry run."""
    if not any(regime.training for regime in result.regimes):
        return []
    return [_column("accuracy (95 %)", result, lambda r: accuracy_words(r, result))]


def work_columns(result: Result) -> list[Column]:
    """The work of a step and, of what was trained, epochs and the work in all; beside backpropagation's."""
    columns = [_column("MMAC/step", result, lambda r: f"{r.macs_per_step / 1e6:,.1f}")]
    if any(regime.training for regime in result.regimes):
        columns = [
            _column("epochs", result, epochs), *columns, _column("GMAC in all", result, total_work),
        ]  # fmt: skip
    if has_times(result):
        columns.append(_column("a step", result, lambda r: step_words(r.time)))
    return [*columns, *_beside_plain(result)]


def _beside_plain(result: Result) -> list[Column]:
    plain = plain_backpropagation(result)
    if plain is None:
        return []

    def cell(row: RegimeResult) -> str:
        return times(result.weighed_macs(row), plain.macs_per_step)

    return [_column(f"work : {PLAIN}", result, cell)]


def verdict(regime: RegimeResult, device: DeviceInfo) -> str:
    """fits; or what is in the way: bytes (over), their addresses (gaps) or the flash."""
    if regime.fits:
        return fits_words(True)
    if regime.peak_bytes > device.usable_bytes:
        return "over"
    return "flash" if regime.arena.placed else "gaps"


def accuracy_words(regime: RegimeResult, result: Result) -> str:
    """97.77 % (95.7-98.9)."""
    accuracy = regime.test_accuracy
    if accuracy is None:
        return DIVERGED if regime.divergence else ABSENT
    low, high = wilson(accuracy, result.data.test)
    return f"{percent(accuracy)} ({100 * low:.1f}-{100 * high:.1f})"


def epochs(regime: RegimeResult) -> str:
    """Of every block in turn."""
    return ABSENT if regime.training is None else epochs_words(regime.training)


def total_work(regime: RegimeResult) -> str:
    """Multiply-accumulates of the whole training, in billions."""
    macs = regime.training_macs
    if not macs:
        return ABSENT
    return f"{macs / 1e9:,.1f}" if macs >= 1e9 else f"{macs / 1e9:.2g}"


def _column(heading: str, result: Result, cell: Cell, *, verdict: bool = False) -> Column:
    return Column(heading, tuple(cell(regime) for regime in result.regimes), verdict)
