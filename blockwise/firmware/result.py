"""What the command leaves behind: the project that was written, and what its check found."""

from dataclasses import asdict, dataclass, field
from typing import Any

from blockwise.experiment.result import DataInfo, DeviceInfo, ModelInfo
from blockwise.firmware.check.agreement import LARGEST, MOST_FLIPS, Agreement
from blockwise.firmware.check.checked import Checked, StepCost

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class PlannedRun:
    """One run of the board's RAM: ``bytes`` of it hold tensors, from ``start`` on."""

    name: str
    start: int
    bytes: int
    size_bytes: int


@dataclass(frozen=True)
class FirmwareResult:
    """Sizes in bytes. ``checked`` is None where nothing was checked."""

    device: DeviceInfo
    model: ModelInfo
    data: DataInfo
    regime: str
    batch_size: int
    seed: int
    weights_from: str  # the run whose weights the project has; "" where it draws its own
    phases: int  # trained one behind the other; 1 where all is trained in every step
    operations: int
    macs_per_step: int
    peak_bytes: int  # of live tensors: no arena is lower
    ram: tuple[PlannedRun, ...]
    flash_estimate: int
    flash_room: int
    predicts: bool  # whether a prediction finds room between the weights
    project: tuple[str, ...]  # files of the project
    config: dict[str, Any]
    environment: dict[str, str]
    created: str  # ISO 8601, UTC
    seconds: float
    reference: str  # what a check compares with, in words
    checked: Checked | None = None
    files: dict[str, str] = field(default_factory=dict)  # what -> name of the renderings, in the same folder
    schema_version: int = SCHEMA_VERSION

    @property
    def arena_bytes(self) -> int:
        """Of all runs, with what lies between tensors."""
        return sum(run.bytes for run in self.ram)

    def to_json(self) -> dict[str, Any]:
        """This object, with what follows from it: the verdict, totals, and the estimate of a step's time."""
        data = asdict(self) | {"arena_bytes": self.arena_bytes}
        if self.checked is not None:
            data["checked"] |= {"equal": self.checked.equal, "wrong": list(self.checked.wrong)}
            if self.checked.cost is not None:
                data["checked"]["cost"] |= _totals(self.checked.cost)
            if self.checked.agreement is not None:
                data["checked"]["agreement"] |= _limits(self.checked.agreement)
        return data


def _totals(cost: StepCost) -> dict[str, Any]:
    return {
        "instructions": cost.instructions, "macs": cost.macs, "seconds": cost.seconds,
        "instructions_per_mac": cost.instructions / cost.macs if cost.macs else None,
    }  # fmt: skip


def _limits(agreement: Agreement) -> dict[str, Any]:
    return {"share_limit": LARGEST, "flips_limit": MOST_FLIPS, "within": not agreement.wrong}
