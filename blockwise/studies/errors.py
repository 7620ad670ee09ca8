"""The recorded seeds of one training: their test errors, and those that lost their way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blockwise.statistics.shares import at_chance
from blockwise.statistics.spread import Spread
from blockwise.statistics.standing import Contestant
from blockwise.studies.records import ended


@dataclass(frozen=True)
class Errors:
    """In 0..1, by seed, of the runs that did not diverge."""

    by_seed: dict[int, float]
    diverged: int = 0  # runs that have no error
    images: int = 0  # behind each error; 0 where older lines do not tell
    classes: int = 0  # of the images; 0 where older lines do not tell

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of the record."""
        return tuple(self.by_seed.values())

    @property
    def runs(self) -> int:
        """All of them, those that lost their way too."""
        return len(self.by_seed) + self.diverged

    @property
    def at_chance(self) -> int:
        """Runs whose error the test images do not tell from that of guessing; they are in the mean."""
        return sum(at_chance(1 - error, self.images, self.classes) for error in self.values)

    @property
    def spread(self) -> Spread | None:
        """Over seeds; None where all diverged."""
        return Spread.of(self.values) if self.values else None

    def contestant(self, name: str) -> Contestant:
        """Under the ``name`` of its row."""
        return Contestant(name, self.by_seed, self.images, self.diverged + self.at_chance)


def errors_of(rows: Sequence[dict[str, Any]]) -> Errors:
    """Of the lines of one training, at least one, each under another seed."""
    found, first = {row["seed"]: row["test_error"] for row in ended(rows)}, rows[0]
    images, classes = first.get("images", (0, 0, 0))[2], first.get("classes", 0)
    return Errors(found, len(rows) - len(ended(rows)), images, classes)
