"""What several boards have for one network, as a result holds it: plain objects of JSON types."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OnBoard:
    """A regime on a board, in bytes. Where it ``fits`` nothing is missing, and ``flash_is_read``."""

    regime: str
    peak_bytes: int
    fits: bool
    missing_bytes: int  # of RAM: for the live bytes at least, or else for a place for each tensor
    flash_missing_bytes: int
    macs_per_step: int
    head: str  # under which blocks are trained there, "" where the regime has no heads
    step_seconds: float | None = None  # where it fits, estimated; None where no figure has a source
    basis: str = ""  # of the time: "instructions" of the firmware's kernels, or "products"
    obstacle: str = ""  # why it cannot be trained anywhere, if so
    flash_is_read: bool = True  # False: weights are to be read in place, and the core does not map its flash


@dataclass(frozen=True)
class BoardRow:
    """A board with every regime on it."""

    name: str
    title: str
    core: str
    clock_mhz: float
    ram_bytes: int
    usable_bytes: int  # without the reserve
    regimes: tuple[OnBoard, ...]
    asked: str = ""  # how it was asked for where that is not its name: the path of a profile

    @property
    def leanest(self) -> OnBoard | None:
        """The regime that fits with the lowest peak, of equal ones the first; None where none fits."""
        fitting = [regime for regime in self.regimes if regime.fits]
        return min(fitting, key=lambda regime: regime.peak_bytes) if fitting else None
