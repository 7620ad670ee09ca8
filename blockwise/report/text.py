"""How figures and names are spelled in every rendering."""

import re

from blockwise.experiment.result import DeviceInfo, RegimeResult
from blockwise.training.outcome import Training
from devices.program.categories import CATEGORIES, NORM_AND_QUANTIZER

KIB = 1024
ABSENT = "-"
DIVERGED = "diverged"
AT_CHANCE = "at chance"

_SHORT_CATEGORIES = {NORM_AND_QUANTIZER: "norm, quantizers"}
"""Only where the full name would cost a column of figures its place at 80 columns."""


def kib(size: int) -> str:
    """Bytes in KiB, one decimal, without the unit: 1,234.5."""
    return f"{size / KIB:,.1f}"


def size(count: int) -> str:
    """Bytes with their unit; below 1 KiB exact, so that a narrow miss never reads as 0.0 KiB."""
    if abs(count) < KIB:
        return f"{count:,} bytes"
    return f"{count // KIB:,} KiB" if count % KIB == 0 else f"{kib(count)} KiB"


def saved_words(count: int) -> str:
    """Bytes that are saved, or that it takes more: 4 KiB less, 4 KiB more."""
    return f"{size(count)} less" if count >= 0 else f"{size(-count)} more"


def times(numerator: float, denominator: float) -> str:
    """A ratio with three digits or so: 0.86x, 3.86x, 13.6x, 1,204x."""
    if not denominator:
        return ABSENT
    ratio = numerator / denominator
    decimals = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:,.{decimals}f}x"


def percent(fraction: float | None) -> str:
    """A fraction in 0..1 as a percentage with two decimals."""
    return ABSENT if fraction is None else f"{100 * fraction:.2f} %"


def interval(low: float, high: float) -> str:
    """Two ends of a share in percent, one decimal: 94.2 to 98.1 %. None is below 0 or above 100."""
    low, high = max(low, 0.0), min(high, 1.0)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def gap(fraction: float) -> str:
    """How far an arena is above its lower bound: 0 %, 1.23 %; what is not nothing never reads as 0."""
    if not fraction:
        return "0 %"
    return "<0.01 %" if fraction < 0.00005 else percent(fraction)


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.97 ms, 8.4 s, 12 min 05 s, 3 h 04 min."""
    if seconds < 0.9995:  # what rounds to 1,000 ms is a second, and what rounds to 60 s a minute
        return f"{1000 * seconds:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shape(dimensions: tuple[int, ...]) -> str:
    """A shape as 16x3x3x3; a tensor without dimensions is a scalar."""
    return "x".join(map(str, dimensions)) or "scalar"


def short_category(category: str) -> str:
    """The category's name where space is scarce."""
    return _SHORT_CATEGORIES.get(category, category)


def ordered_categories(*tables: dict[str, int]) -> list[str]:
    """CATEGORIES in their order, then whatever else the tables hold, so that rows always add up."""
    others = {name for table in tables for name in table} - set(CATEGORIES)
    return [*CATEGORIES, *sorted(others)]


def join(parts: list[str]) -> str:
    """An English list: a, b and c."""
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def broken(name: str, width: int) -> str:
    """``name`` over several lines of at most ``width``, broken after ``.``, ``_``, ``-``, ``/``."""
    lines = [""]
    for piece in re.findall(r".+?(?:[._/\- ]+|$)", name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(part for line in lines for part in _folded(line.rstrip(), width))


def _folded(line: str, width: int) -> list[str]:
    return [line[start : start + width] for start in range(0, len(line), width)] or [""]


def ram_words(device: DeviceInfo) -> str:
    """What :attr:`DeviceInfo.usable_bytes` are."""
    return "usable RAM" if device.reserve_bytes else "RAM"


def ram_figures(device: DeviceInfo) -> str:
    """The RAM and what is kept free of it: 320 KiB, 8 KiB reserved."""
    reserved = f", {size(device.reserve_bytes)} reserved" if device.reserve_bytes else ""
    return size(device.ram_bytes) + reserved


def epochs_words(training: Training) -> str:
    """Of every block in turn: 8 x 5, or 7 x 5 + 10 where the last has its own."""
    if training.phases == 1:
        return f"{training.epochs}"
    if training.last_epochs in (None, training.epochs):
        return f"{training.phases} x {training.epochs}"
    return f"{training.phases - 1} x {training.epochs} + {training.last_epochs}"


def moment(regime: RegimeResult) -> str:
    """Where the peak occurs: operation, phase and block."""
    block = f" in block {regime.peak_block}" if regime.peak_block else ""
    return operation_words(regime) + block


def operation_words(regime: RegimeResult) -> str:
    """The operation at the peak, with its phase unless the name has it already."""
    if regime.peak_phase in regime.peak_operation:
        return regime.peak_operation
    return f"{regime.peak_operation} ({regime.peak_phase})"


def fits_words(fits: bool) -> str:
    """The verdict on one regime."""
    return "fits" if fits else "does not fit"
