"""What the memory study measures, as plain objects: the console and JSON are renderings of them."""

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A line of a table. What the study leaves out has no figure of the study's."""

    name: str
    study: str | None  # as printed by the study, MB
    formula_bytes: int | None  # by the study's formula, the whole batch
    program_bytes: int  # alive at the program's peak


@dataclass(frozen=True)
class Difference:
    """What the program holds more (or, below 0, less) than the study's formula counts."""

    words: str
    bytes: int


@dataclass(frozen=True)
class MemoryTable:
    """One precision in one phase: entries that add up to the total, and why the totals differ."""

    precision: str
    phase: str  # "inference" or "training"
    batch_size: int
    entries: tuple[Entry, ...]
    total: Entry
    differences: tuple[Difference, ...]  # formula + differences = program
    peak_operation: str
    by_category: dict[str, int]  # adds up to the program's total


@dataclass(frozen=True)
class ParameterRow:
    """A size that the study prints beside the count."""

    title: str
    data: str  # whose classes the head has
    model: str  # in torchvision
    parameters: int
    bytes: int  # as float32
    study: int  # as printed, "MB"
    readings: tuple[str, ...]  # all rules under which the study's figure comes out
    reading: str | None  # of these the one that explains most rows; None if there is none


@dataclass(frozen=True)
class MemoryStudy:
    """All tables, and the conditions under which they hold."""

    conditions: dict[str, Any]
    tables: tuple[MemoryTable, ...]
    parameters: tuple[ParameterRow, ...]
    uniform_readings: tuple[str, ...]  # rules that explain every network's size
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; bytes are integers."""
        return asdict(self)
