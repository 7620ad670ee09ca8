"""What a candidate costs: its peak, its multiply-accumulates, its flash traffic.

Only the peak is needed of a schedule, not its timeline. And candidates that differ in their optimizer
alone share a schedule: every state of a parameter is alive when the parameter is, so the bytes of
one state tell those of none or of two. Only where the regime itself looks at the RAM it has does
each optimizer need a schedule of its own.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from blockwise.fit.networks import Model
from blockwise.fit.space import Candidate
from devices.memory.paging import ring_bytes
from devices.network import Network
from devices.program.accountings import DEVICE
from devices.program.categories import OPTIMIZER_STATE
from devices.program.regimes import Step, find, schedule
from devices.program.schedule import Schedule
from devices.program.state import OPTIMIZER_STATES

ONE_STATE = "sgd-momentum"


@dataclass(frozen=True)
class Limits:
    """What of a board decides a schedule and its sizes, in bytes; no flash size where it is open."""

    usable_bytes: int
    flash_bytes: int
    alignment: int
    erase_bytes: int = 0  # of the flash; 0 where it is unknown


@dataclass(frozen=True)
class Measured:
    """A candidate with the figures of one training step, in bytes and multiply-accumulates."""

    candidate: Candidate
    peak_bytes: int
    macs: int
    flash_read_bytes: int
    flash_written_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Flash traffic of a step."""
        return self.flash_read_bytes + self.flash_written_bytes

    @property
    def macs_per_image(self) -> float:
        """Multiply-accumulates of a step, by its images."""
        return self.macs / self.candidate.batch

    @property
    def flash_bytes_per_image(self) -> float:
        """Flash traffic of a step, by its images."""
        return self.flash_bytes / self.candidate.batch

    @property
    def objectives(self) -> tuple[float, float, float]:
        """What is minimised. A step's own costs would let batch 1 dominate every larger batch."""
        return self.peak_bytes, self.macs_per_image, self.flash_bytes_per_image

    def missing(self, limits: Limits) -> tuple[int, int]:
        """Bytes of RAM and of flash that a board lacks; what a step writes is what flash holds."""
        ring = ring_bytes(self.flash_written_bytes, limits.erase_bytes) if self.flash_written_bytes else 0
        flash = max(0, ring - limits.flash_bytes) if limits.flash_bytes else 0
        return max(0, self.peak_bytes - limits.usable_bytes), flash

    def may_fit(self, limits: Limits) -> bool:
        """Whether the sum of live bytes fits, and what is paged fits the flash."""
        return not any(self.missing(limits))


@dataclass(frozen=True)
class Task:
    """Candidates that train the same network."""

    network: Network
    candidates: tuple[Candidate, ...]


def step_of(candidate: Candidate, model: Model, limits: Limits) -> Step:
    """The training step of a candidate."""
    return Step(
        candidate.batch, candidate.optimizer,
        model.bits(candidate.weight_bits, candidate.activation_bits), candidate.update == "fused", DEVICE,
        candidate.micro_batch or 1, limits.usable_bytes, limits.alignment,
    )  # fmt: skip


def measure(task: Task, model: Model, limits: Limits) -> list[Measured]:
    """The figures of every candidate, in their order."""
    families: dict[Candidate, list[Candidate]] = defaultdict(list)
    for candidate in task.candidates:
        families[_lowered_as(candidate)].append(candidate)
    found: dict[Candidate, Measured] = {}
    for lowered, family in families.items():
        program = schedule(lowered.regime, task.network, step_of(lowered, model, limits))
        found |= {c: _measured(c, program, _states(c, lowered), limits.alignment) for c in family}
    return [found[candidate] for candidate in task.candidates]


def _lowered_as(candidate: Candidate) -> Candidate:
    """The candidate whose schedule tells this one's figures."""
    return candidate if find(candidate.regime).looks_at_ram else replace(candidate, optimizer=ONE_STATE)


def _states(candidate: Candidate, lowered: Candidate) -> int:
    """How often the optimizer state of the schedule counts."""
    return 1 if candidate == lowered else OPTIMIZER_STATES[candidate.optimizer]


def _measured(candidate: Candidate, program: Schedule, states: int, alignment: int) -> Measured:
    return Measured(
        candidate, peak_of(program, alignment, states), program.macs,
        paged_bytes(program, "page in", states), paged_bytes(program, "page out", states),
    )  # fmt: skip


def peak_of(program: Schedule, alignment: int, states: int = 1) -> int:
    """Highest sum of live bytes, optimizer state counted ``states`` times."""
    changes = [0] * (len(program.operations) + 1)
    for name, (first, last) in program.lifetimes.items():
        tensor = program.tensors[name]
        size = tensor.aligned_bytes(alignment)
        if tensor.category == OPTIMIZER_STATE:
            size *= states
        changes[first] += size
        changes[last + 1] -= size
    return max(accumulate(changes))


def paged_bytes(program: Schedule, phase: str, states: int = 1) -> int:
    """Bytes that ``page in`` reads from flash, or ``page out`` writes to it."""
    names: Sequence[tuple[str, ...]] = [
        o.writes if phase == "page in" else o.reads for o in program.operations if o.phase == phase
    ]
    moved = [program.tensors[name] for group in names for name in group]
    return sum(t.bytes * (states if t.category == OPTIMIZER_STATE else 1) for t in moved)
