"""Instructions of the firmware's kernels, as weights of what operations count.

The weights are those of a record: steps of training, built by zig and counted operation by operation in an
emulator (benchmarks/board_time.py), to which every kind of operation was fitted by itself.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from devices.boards.profile import Device
from devices.pace.cores import arm_core
from devices.pace.workload import Workload

RECORD = Path(__file__).with_name("kernels.json")
LIKE = {
    "Cortex-M0+": "Cortex-M0+", "Cortex-M3": "Cortex-M3", "Cortex-M4": "Cortex-M4",
    "Cortex-M7": "Cortex-M4", "Cortex-M33": "Cortex-M4", "Cortex-M55": "Cortex-M4",
}  # fmt: skip
"""Core -> the counted one whose kernels it runs, instruction by instruction or nearly so."""


@dataclass(frozen=True)
class Counted:
    """What was counted on one core.

    ``kinds`` are weights of :data:`devices.pace.workload.COUNTS` by kind, ``sorts`` the same by arithmetic
    and the first word of the action, ``per_product`` instructions per multiply-accumulate of whole steps by
    arithmetic.
    """

    board: str
    fpu: bool
    dsp: bool
    steps: int
    kinds: Mapping[str, tuple[float, ...]]
    sorts: Mapping[str, tuple[float, ...]]
    per_product: Mapping[str, float]

    def instructions(self, works: Iterable[Workload]) -> "Estimate | None":
        """Of the operations of one step; None where an action has no kernel."""
        total = known = 0.0
        for work in works:
            weights = self.kinds.get(work.kind) or self.sorts.get(sort_of(work.kind))
            if weights is None:
                return None
            count = instructions_of(work, weights)
            total += count
            known += count * (work.kind in self.kinds)
        return Estimate(round(total), known / total if total else 1.0)


@dataclass(frozen=True)
class Estimate:
    """Instructions of a step, and the share of them whose kind of operation was counted itself."""

    instructions: int
    known: float


def instructions_of(work: Workload, weights: tuple[float, ...]) -> float:
    """Of one operation."""
    return sum(weight * count for weight, count in zip(weights, work.counts, strict=True))


def sort_of(kind: str) -> str:
    """Arithmetic of a kind and the first word of its action: forward, backward, update."""
    arithmetic, _, rest = kind.partition(" ")
    return f"{arithmetic} {rest.partition(' ')[0]}"


def counted_for(device: Device) -> Counted | None:
    """What was counted on a core that runs the same instructions as the board's; None if there is none."""
    found = record().get(LIKE.get(arm_core(device), ""))
    same = found is not None and (found.fpu, found.dsp) == (device.fpu, device.dsp)
    return found if same else None


@cache
def record() -> dict[str, Counted]:
    """By core."""
    cores = json.loads(RECORD.read_text("utf-8"))["cores"]
    return {
        name: Counted(
            found["board"], found["fpu"], found["dsp"], found["steps"], _weights(found["kinds"]),
            _weights(found["sorts"]), found["per_product"],
        )
        for name, found in cores.items()
    }  # fmt: skip


def _weights(found: Mapping[str, list[float]]) -> dict[str, tuple[float, ...]]:
    return {kind: tuple(values) for kind, values in found.items()}
