"""What a training step is made of, row by row: its tensors with their addresses, and its layers."""

from dataclasses import dataclass

from devices.pace.step import Basis


@dataclass(frozen=True)
class RunInfo:
    """RAM regions that touch: one range of addresses, whose end may be kept free."""

    name: str
    start: int | None  # first address, None where the board's is not known
    bytes: int
    reserve_bytes: int  # of its end, kept free for stack and system


@dataclass(frozen=True)
class PlacedTensor:
    """One tensor of the step: what it is, where it lies and when it is alive.

    A place may lie beyond the end of its run: by so many bytes the run is too short.
    """

    name: str
    owner: str  # the block, or the block's head
    category: str
    shape: tuple[int, ...]
    bits: int  # per element
    bytes: int  # after the device's alignment
    run: str
    offset: int  # from the start of its run
    address: int | None  # where the run's is known
    first: int  # operation of the step, from 0
    last: int  # included


@dataclass(frozen=True)
class LayerRow:
    """One layer, and the bytes of the step's tensors that are its own. A recomputed tensor counts once."""

    name: str
    kind: str
    owner: str  # the block, or the block's head
    shape: tuple[int, ...]  # of the output, without the batch
    weight_bits: int | None  # None: no weights
    output_bits: int | None  # None: the step never stores its output
    parameters: int
    macs: int  # forward, of one image
    saved_bytes: int
    gradient_bytes: int  # of weights
    optimizer_bytes: int
    peak_bytes: int  # of its tensors that are alive at the step's peak


@dataclass(frozen=True)
class Change:
    """Settings with which a regime needs less."""

    regime: str
    what: str  # in words: "fused updates, batch of 4"
    peak_bytes: int
    saved_bytes: int  # of the regime's peak as it was compared
    fits: bool
    command: tuple[str, ...]  # words behind run.py; empty where no command would do


@dataclass(frozen=True)
class TimeInfo:
    """Estimates for the board at its clock, in seconds; None where no figure has a source.

    Where blocks are trained one by one, a step is one of each block, and an epoch one of each.
    """

    step_seconds: float | None
    epoch_seconds: float | None  # None without training samples as well
    steps_per_epoch: int
    basis: Basis  # "instructions" of the firmware's kernels, "products" (multiply-accumulates), or ""
    rests_on: str  # in words
    instructions: int | None  # of a step, where it is they that tell
    flash_seconds: float  # of a step, for paging; part of step_seconds
