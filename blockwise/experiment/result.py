"""The one object that everything measured or trained ends in.

Plain frozen dataclasses of JSON types: the console report, ``result.json`` and the pictures are
renderings of a :class:`Result`, and none of them computes a figure of its own. Bytes are integers,
accuracies are fractions in 0..1, times are seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from blockwise.experiment.board_rows import BoardRow
from blockwise.experiment.initial.taken import Taken
from blockwise.experiment.step_rows import Change, LayerRow, PlacedTensor, RunInfo, TimeInfo
from blockwise.system.plain import plain
from blockwise.training.outcome import Divergence, Host, Training
from devices.program.regimes import ALL_REGIMES

SCHEMA_VERSION = 2

Row = TypeVar("Row")


def best_of(rows: Iterable[tuple[Row, float | None]]) -> Row | None:
    """What has the highest accuracy, of equal ones the first; None where nothing has one."""
    trained = [(row, accuracy) for row, accuracy in rows if accuracy is not None]
    return max(trained, key=lambda pair: pair[1])[0] if trained else None


@dataclass(frozen=True)
class TensorRow:
    """One tensor alive at the peak, largest first."""

    name: str
    owner: str  # the block, or the block's head ("stage1.head"), that it belongs to
    category: str
    shape: tuple[int, ...]
    bits: int  # per element
    bytes: int  # after the device's alignment


@dataclass(frozen=True)
class MomentRow:
    """Live bytes while one operation of the training step runs."""

    operation: str
    phase: str  # "load", "forward", "recompute", "backward", "update", "pack", "page in", "page out"
    block: str
    live_bytes: int
    by_category: dict[str, int]


@dataclass(frozen=True)
class ArenaInfo:
    """Where a real program would put the tensors. ``gap`` is the arena's height above its lower bound."""

    arena_bytes: int
    lower_bound_bytes: int  # the peak of live bytes
    gap: float
    method: str
    proven: bool  # whether no arena is lower
    placed: bool  # whether every tensor has a place in the board's RAM beside the reserve
    missing_bytes: int  # by which the longest run is too short


@dataclass(frozen=True)
class PagingInfo:
    """Flash traffic of one step; None where the board's figures are not known."""

    read_bytes: int
    written_bytes: int
    read_seconds: float | None
    write_seconds: float | None
    life_steps: int | None  # steps until the flash is worn out, all of it used evenly
    ring_bytes: int  # what the state takes in flash: whole erase units, one more than it fills
    flash_bytes: int  # 0: external, of open size
    fits: bool


@dataclass(frozen=True)
class Baseline:
    """Global backpropagation, plain or engineered: what local training has to beat."""

    regime: str
    peak_bytes: int
    fits: bool
    macs_per_step: int
    note: str
    obstacle: str = ""  # why it cannot be trained, if so; its figures are then of a program nobody can run
    flash_missing_bytes: int = 0


@dataclass(frozen=True)
class RegimeResult:
    """One regime: its memory on the board, and how well it trained."""

    regime: str
    peak_bytes: int
    fits: bool
    by_category: dict[str, int]  # adds up to peak_bytes
    peak_operation: str
    peak_phase: str
    peak_block: str
    tensors_at_peak: tuple[TensorRow, ...]
    peak_by_batch: dict[int, int]  # batch size -> peak bytes, where it can be trained
    peak_by_block: dict[str, int]  # block -> highest live bytes while it is worked on
    macs_per_step: int  # multiply-accumulates of one training step
    update: str  # "end" or "fused"
    timeline: tuple[MomentRow, ...]
    arena: ArenaInfo
    paging: PagingInfo | None = None
    obstacle_by_batch: dict[int, str] = field(default_factory=dict)  # batch size -> why it cannot be trained
    macs_of_last: int = 0  # of those, the last block's; of all, where all are trained together
    time: TimeInfo | None = None  # on the board, estimated
    trained_as: str = ""  # the regime whose training this is, since both end with the same bits
    training: Training | None = None
    host: Host | None = None
    tensors: tuple[PlacedTensor, ...] = ()  # all of the step, with addresses and lifetimes
    layers: tuple[LayerRow, ...] = ()
    mapped_bytes: int = 0  # weights that are read in place from flash
    flash_missing_bytes: int = 0  # for what is read in place and paged

    @property
    def lacking_flash_bytes(self) -> int:
        """By which the flash is too short, at any batch; runs of earlier versions tell it of paging alone."""
        paging = self.paging
        paged = paging.ring_bytes - paging.flash_bytes if paging and not paging.fits else 0
        return max(self.flash_missing_bytes, paged)

    @property
    def test_accuracy(self) -> float | None:
        """Test accuracy in 0..1, read once with the weights of the best epoch."""
        return self.training.test_accuracy if self.training else None

    @property
    def training_macs(self) -> int | None:
        """Multiply-accumulates of the whole training. A planned step has one step of every phase."""
        ended = self.training is not None and self.training.divergence is None
        return self.training.macs(self.macs_per_step, self.macs_of_last) if self.training and ended else None

    @property
    def divergence(self) -> Divergence | None:
        """Where the training diverged, if it did."""
        return self.training.divergence if self.training else None

    @property
    def bits_of(self) -> str:
        """The regime with whose bits this one ends: its own name where it was trained itself."""
        return self.trained_as or self.regime


@dataclass(frozen=True)
class DeviceInfo:
    """The board, as far as a report needs it."""

    name: str
    title: str
    core: str
    clock_mhz: float
    ram_bytes: int  # all data regions
    largest_contiguous_bytes: int
    reserve_bytes: int  # kept free for stack and system
    flash_bytes: int
    sources: dict[str, str]
    runs: tuple[RunInfo, ...] = ()

    @property
    def usable_bytes(self) -> int:
        """RAM for tensors: all of it but the reserve."""
        return self.ram_bytes - self.reserve_bytes


@dataclass(frozen=True)
class ModelInfo:
    """The network and how it was cut."""

    name: str
    width: float | None  # None: a network that does not scale
    parameters: int
    in_shape: tuple[int, ...]
    num_classes: int
    blocks: dict[str, int]  # block -> parameters without its head
    head: str
    head_parameters: dict[str, int]  # block -> parameters of its local head


@dataclass(frozen=True)
class DataInfo:
    """The data behind the accuracies."""

    name: str
    train: int
    validation: int
    test: int
    augmentation: str
    classes: tuple[str, ...] = ()  # in the order of the logits
    mean: tuple[float, ...] = ()  # per channel of the training images, in 0..1: networks see
    std: tuple[float, ...] = ()  # (pixel / 255 - mean) / std; empty where there are no images
    low: tuple[float, ...] = ()  # per channel what became pixel 0, and what 255, of values that were
    high: tuple[float, ...] = ()  # no bytes; empty where they were
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # split -> whose samples; empty: unknown
    contents: str = ""  # a hash of all samples, however they are split; empty where nothing was trained


@dataclass(frozen=True)
class PaperAccounting:
    """The reference study's formula: parameters and activations, in bytes, batch norm left out."""

    inference_activations: int
    inference_parameters: int
    training_activations: int  # whole batch
    training_parameters: int
    training_optimizer: int


@dataclass(frozen=True)
class Result:
    """A finished comparison."""

    device: DeviceInfo
    model: ModelInfo
    data: DataInfo
    regimes: tuple[RegimeResult, ...]
    baselines: tuple[Baseline, ...]  # every form of backpropagation, trained or not
    paper: PaperAccounting
    config: dict[str, Any]
    assumptions: tuple[str, ...]
    environment: dict[str, str]  # versions, git commit, host processor, accelerator
    seed: int
    seconds: float
    created: str  # ISO 8601, UTC
    initial: Taken | None = None  # trained weights that it started from
    boards: tuple[BoardRow, ...] = ()  # the same network on several, where more than one was asked for
    everywhere: tuple[BoardRow, ...] = ()  # and on every board that is built in
    changes: tuple[Change, ...] = ()  # with which regimes that do not fit need less
    files: dict[str, str] = field(default_factory=dict)  # what -> file name within the out folder
    schema_version: int = SCHEMA_VERSION

    @property
    def fits(self) -> bool:
        """Whether at least one regime fits the board."""
        return any(regime.fits for regime in self.regimes)

    def epochs_of_last(self, regime: RegimeResult) -> float:
        """Of the last of several phases, in those of the others."""
        found = ALL_REGIMES.get(regime.regime)  # of another version's maybe
        last = self.config.get("last_epochs") if found and found.one_by_one else None
        return last / self.config["epochs"] if last and len(self.model.blocks) > 1 else 1.0

    def weighed_macs(self, regime: RegimeResult) -> float:
        """Multiply-accumulates of a step of every phase, the last as often as it is trained beside one."""
        return regime.macs_per_step + (self.epochs_of_last(regime) - 1) * regime.macs_of_last

    @property
    def diverged(self) -> bool:
        """Whether something was trained, and all of it diverged."""
        trained = [regime for regime in self.regimes if regime.training]
        return bool(trained) and all(regime.divergence for regime in trained)

    @property
    def choice(self) -> RegimeResult | None:
        """The regime that fits with the highest test accuracy, of equal ones the first; None: none does."""
        return best_of((r, r.test_accuracy) for r in self.regimes if r.fits)

    @property
    def most_accurate(self) -> RegimeResult | None:
        """The regime with the highest test accuracy, whether it fits or not; None: nothing was trained."""
        return best_of((r, r.test_accuracy) for r in self.regimes)

    @property
    def best_baseline(self) -> Baseline:
        """The form of backpropagation with the lowest peak, of those that can be trained."""
        return min(self.baselines, key=lambda baseline: (bool(baseline.obstacle), baseline.peak_bytes))

    def to_json(self) -> dict[str, Any]:
        """The versioned JSON form: this object, with ``test_accuracy`` beside each regime."""
        data: dict[str, Any] = plain(self)
        for row, regime in zip(data["regimes"], self.regimes, strict=True):
            row["test_accuracy"] = regime.test_accuracy
        data["fits"] = self.fits
        return data
