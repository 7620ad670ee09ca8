"""What a search found, as plain objects: the console and JSON are renderings of them."""

from dataclasses import asdict, dataclass
from typing import Any

from blockwise.fit.confirm import Confirmed
from blockwise.fit.space import Candidate, Space

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FrontRow:
    """A candidate on the front, how many others have the same figures, and what its training reached."""

    confirmed: Confirmed
    ties: int
    accuracy: float | None = None  # test accuracy in 0..1, where it was trained
    run: str = ""  # the folder of that training
    test_images: int = 0  # behind the accuracy


@dataclass(frozen=True)
class HeldTensor:
    """A tensor that is alive at the peak."""

    name: str
    owner: str
    category: str
    bytes: int


@dataclass(frozen=True)
class Miss:
    """The candidate that lacks the fewest bytes, and what is largest at its peak."""

    confirmed: Confirmed
    ram_missing_bytes: int  # by the sum of live bytes, or by the best placement where that is larger
    flash_missing_bytes: int
    peak_operation: str
    tensors: tuple[HeldTensor, ...]  # largest first


@dataclass(frozen=True)
class SmallestBoard:
    """The built-in board with the least usable RAM on which a candidate has a place."""

    name: str
    title: str
    usable_bytes: int
    confirmed: Confirmed


@dataclass(frozen=True)
class FitResult:
    """The front; or, where nothing fits, the nearest miss and the smallest board that would do."""

    conditions: dict[str, Any]
    space: Space
    usable_bytes: int
    possible: int  # candidates in the space
    looked_at: int
    fitting: int  # of those looked at, by the sum of live bytes and the size of the flash
    dropped: int  # of those fitting that do not once cut for their own step and placed
    seconds: float
    front: tuple[FrontRow, ...]
    nearest: Miss | None
    smallest_board: SmallestBoard | None
    flags: tuple[str, ...] = ()  # of ``run.py``, that name board, network and images
    closed: bool = True  # whether all was looked at that differs from a row of the front in one setting

    @property
    def sampled(self) -> bool:
        """Whether only a sample was looked at."""
        return self.looked_at < self.possible

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; bytes and multiply-accumulates of steps are integers."""
        return {
            "schema_version": SCHEMA_VERSION,
            "conditions": self.conditions,
            "space": asdict(self.space),
            "usable_bytes": self.usable_bytes,
            "candidates": {
                "possible": self.possible, "looked_at": self.looked_at, "fitting": self.fitting,
                "dropped": self.dropped, "sampled": self.sampled, "closed": self.closed,
                "seconds": self.seconds,
            },
            "front": [self._front_row(choice) for choice in self.front],
            "nearest_miss": self._miss(self.nearest) if self.nearest else None,
            "smallest_board": self._board(self.smallest_board) if self.smallest_board else None,
        }  # fmt: skip

    def command(self, candidate: Candidate) -> tuple[str, ...]:
        """What runs a candidate: the comparison, with its settings alone."""
        return ("run.py", *self.flags, *candidate.flags)

    def _front_row(self, choice: FrontRow) -> dict[str, Any]:
        return self._row(choice.confirmed) | {
            "ties": choice.ties,
            "command": list(self.command(choice.confirmed.candidate)),
            "test_accuracy": choice.accuracy,
            "run": choice.run,
        }

    def _row(self, confirmed: Confirmed) -> dict[str, Any]:
        measured = confirmed.measured
        return {
            **_settings(confirmed.candidate),
            "peak_bytes": measured.peak_bytes,
            "share_of_usable": measured.peak_bytes / self.usable_bytes,
            "macs_per_step": measured.macs,
            "macs_per_image": measured.macs_per_image,
            "flash_read_bytes_per_step": measured.flash_read_bytes,
            "flash_written_bytes_per_step": measured.flash_written_bytes,
            "flash_bytes_per_step": measured.flash_bytes,
            "flash_bytes_per_image": measured.flash_bytes_per_image,
            "arena_bytes": confirmed.arena_bytes,
            "seconds_per_step": confirmed.time.seconds,
            "seconds_per_image": confirmed.seconds_per_image,
            "time_basis": confirmed.time.basis,
            "time_rests_on": confirmed.time.rests_on,
            "placed": confirmed.fits,
        }

    def _miss(self, miss: Miss) -> dict[str, Any]:
        return self._row(miss.confirmed) | {
            "ram_missing_bytes": miss.ram_missing_bytes,
            "flash_missing_bytes": miss.flash_missing_bytes,
            "peak_operation": miss.peak_operation,
            "tensors_at_peak": [asdict(tensor) for tensor in miss.tensors],
        }

    def _board(self, board: SmallestBoard) -> dict[str, Any]:
        row = self._row(board.confirmed) | {
            "share_of_usable": board.confirmed.measured.peak_bytes / board.usable_bytes
        }
        names = {"name": board.name, "title": board.title, "usable_bytes": board.usable_bytes}
        return names | {"candidate": row}


def _settings(candidate: Candidate) -> dict[str, Any]:
    return asdict(candidate) | {"flags": list(candidate.flags)}
