"""How long steps and epochs would take on the board, regime by regime, and what that rests on."""

from blockwise.experiment.result import Result
from blockwise.experiment.step_rows import TimeInfo
from blockwise.report.side_by_side import SideBySide, TableRow
from blockwise.report.text import ABSENT, duration, join
from devices.pace.step import Basis
from devices.program.regimes import find

NOTE = "estimates at the board's clock, without wait states of flash and without caches"
BY_PRODUCTS = "*"
SCREEN_NOTE = f"a step: estimated for the board; {BY_PRODUCTS} by multiply-accumulates alone"
BY: dict[Basis, str] = {"instructions": "instructions", "products": "MAC", "": ABSENT}
"""What a figure is made of, as its row says."""


def time_table(result: Result) -> SideBySide:
    """Seconds of a step and of an epoch, and whether instructions or multiply-accumulates tell them."""
    timed = [(regime, regime.time) for regime in result.regimes if regime.time is not None]
    names = [regime.regime for regime, _ in timed]
    rows = [
        TableRow("a step", tuple(_seconds(time.step_seconds) for _, time in timed)),
        TableRow("an epoch", tuple(_seconds(time.epoch_seconds) for _, time in timed)),
        TableRow("by", tuple(BY[time.basis] for _, time in timed)),
        TableRow("Minstr. a step", tuple(_millions(time) for _, time in timed)),
        TableRow("MMAC a step", tuple(f"{regime.macs_per_step / 1e6:,.1f}" for regime, _ in timed)),
    ]
    if any(time.flash_seconds for _, time in timed):
        rows.insert(1, TableRow("of it flash", tuple(_flash(time) for _, time in timed)))
    return SideBySide("on the board", names, rows)


def time_notes(result: Result) -> list[str]:
    """What the figures rest on, each reason once."""
    where: dict[str, list[str]] = {}
    for regime in result.regimes:
        if regime.time is not None:
            where.setdefault(regime.time.rests_on, []).append(regime.regime)
    notes = [f"{join(names)}: {reason}" for reason, names in where.items()]
    one_by_one = [r.regime for r in result.regimes if r.time and find(r.regime).one_by_one]
    if one_by_one:
        notes.append(f"{join(one_by_one)}: a step of each block together, and an epoch of each")
    return notes


def step_words(time: TimeInfo | None) -> str:
    """The time of a step, with a star where multiply-accumulates alone tell it."""
    if time is None or time.step_seconds is None:
        return ABSENT
    return duration(time.step_seconds) + (BY_PRODUCTS if time.basis == "products" else "")


def has_times(result: Result) -> bool:
    """Whether there is anything to show."""
    return any(regime.time is not None for regime in result.regimes)


def _seconds(seconds: float | None) -> str:
    return ABSENT if seconds is None else duration(seconds)


def _millions(time: TimeInfo) -> str:
    return ABSENT if time.instructions is None else f"{time.instructions / 1e6:,.1f}"


def _flash(time: TimeInfo) -> str:
    return duration(time.flash_seconds) if time.flash_seconds else ABSENT
