"""What a check found, as plain objects. Sizes in bytes, without rounding."""

from dataclasses import dataclass

from blockwise.firmware.check.agreement import Agreement
from blockwise.firmware.check.compare import Compared
from blockwise.firmware.check.trace import Traced
from blockwise.firmware.emulators.run import Fault


@dataclass(frozen=True)
class RunOfRam:
    """The tensors of one run of RAM: what was planned, and what the program has there."""

    name: str
    planned_start: int
    planned_bytes: int
    start: int
    bytes: int

    @property
    def equal(self) -> bool:
        """Whether the program has what was planned, where it was planned."""
        return (self.start, self.bytes) == (self.planned_start, self.planned_bytes)


@dataclass(frozen=True)
class Reserve:
    """What shares the board's reserve: statics, and the stack with its high-water mark and proven bound."""

    bytes: int
    statics: int
    stack: int | None  # None where the program did not end
    stack_bound: int | None  # None where no compiler proves one

    @property
    def stack_room(self) -> int:
        """What the statics leave."""
        return self.bytes - self.statics

    @property
    def holds(self) -> bool:
        """Whether the stack left some of its room untouched, and is proven to where it can be."""
        used = max(self.stack or 0, self.stack_bound or 0)
        return used <= self.stack_room and (self.stack is None or self.stack < self.stack_room)


@dataclass(frozen=True)
class Flash:
    """Code and constants in the board's flash."""

    bytes: int
    used: int


@dataclass(frozen=True)
class OperationCost:
    """Instructions of one operation of the schedule in one step, of all its turns."""

    operation: int
    name: str
    instructions: int
    macs: int

    @property
    def per_mac(self) -> float | None:
        """Instructions per multiply-accumulate, None where it has none."""
        return self.instructions / self.macs if self.macs else None


@dataclass(frozen=True)
class StepCost:
    """What the watched steps took; where training has phases, one step of each, together."""

    operations: tuple[OperationCost, ...]
    between: int  # instructions that are in no operation
    clock_mhz: int
    cycles_per_instruction: float
    rests_on: str

    @property
    def instructions(self) -> int:
        """Of a step."""
        return sum(operation.instructions for operation in self.operations) + self.between

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a step."""
        return sum(operation.macs for operation in self.operations)

    @property
    def seconds(self) -> float:
        """An estimate: no cycle was counted."""
        return self.instructions * self.cycles_per_instruction / (self.clock_mhz * 1e6)


@dataclass(frozen=True)
class Checked:
    """A program that was run beside its reference."""

    board: str
    toolchain: str
    emulator: str
    proves: str
    steps: int  # that were to be trained and compared
    compared: Compared
    exit_code: int | None
    fault: Fault | None
    fault_name: str  # of the operation of the fault, "" without one
    strayed: int | None  # the first address beside tensors and reserve that was written
    ram: tuple[RunOfRam, ...]
    reserve: Reserve
    flash: Flash
    cost: StepCost | None  # None where the emulator counts nothing
    trace: Traced | None
    seconds: float
    agreement: Agreement | None = None  # of floats: with PyTorch, beside the same C on this computer

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as it was planned and simulated, a line each."""
        return tuple(_wrong(self))

    @property
    def equal(self) -> bool:
        """The verdict."""
        return not self.wrong


def _wrong(checked: Checked) -> list[str]:
    found = [_of_ram(run) for run in checked.ram if not run.equal]
    if checked.fault:
        named = f" ({checked.fault_name})" if checked.fault_name else ""
        found.append(f"stopped: {checked.fault}{named}")
    elif checked.exit_code:
        found.append(f"the program ended with code {checked.exit_code}")
    if checked.strayed is not None:
        found.append(
            f"the byte at {checked.strayed:#010x} was written, which is neither a tensor's nor reserve"
        )
    if checked.compared.difference:
        found.append(str(checked.compared.difference))
    elif not checked.fault and (checked.compared.missing or checked.compared.steps != checked.steps):
        found.append(f"{checked.compared.steps} of {checked.steps} steps were answered")
    if not checked.reserve.holds:
        found.append(_of_stack(checked.reserve))
    if checked.trace:
        found += _of_trace(checked.trace)
    if checked.agreement:
        found += checked.agreement.wrong
    return found


def _of_ram(run: RunOfRam) -> str:
    planned = f"{run.planned_bytes:,} bytes at {run.planned_start:#010x}"
    return f"{run.name} has {run.bytes:,} bytes at {run.start:#010x} instead of {planned}"


def _of_stack(reserve: Reserve) -> str:
    return (
        f"the stack took {reserve.stack if reserve.stack is not None else 'unknown'} bytes"
        f" (bound: {reserve.stack_bound if reserve.stack_bound is not None else 'none'})"
        f" of the {reserve.stack_room:,} that statics leave of the reserve"
    )


def _of_trace(trace: Traced) -> list[str]:
    found = [
        f"operation {s.operation} ({s.name}) {s.what} {s.byte}, which it does not name"
        for s in trace.strangers
    ]
    found += [
        f"operation {moment.operation} ({moment.name}) keeps {moment.traced:,} bytes, planned are"
        f" {moment.planned:,}: {'; '.join(moment.wrong)}"
        for moment in trace.live
        if moment.wrong
    ]
    found += [f"operation {number} did not run in the traced step" for number in trace.skipped]
    if not trace.live:
        found.append("no operation ran in the traced step")
    return found
