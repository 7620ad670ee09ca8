"""Builds a project, runs it beside its reference, and tells what came of it."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.check.bytes_of import PlannedBytes
from blockwise.firmware.check.checked import Checked, Flash, OperationCost, Reserve, RunOfRam, StepCost
from blockwise.firmware.check.compare import compared
from blockwise.firmware.check.progress import Tell, growing, silent
from blockwise.firmware.check.reference import Exchange, Reference
from blockwise.firmware.check.subject import Subject
from blockwise.firmware.check.trace import Traced, traced
from blockwise.firmware.cores import core_of
from blockwise.firmware.emit import linker
from blockwise.firmware.emulators import Emulator, Run, Watch
from blockwise.firmware.emulators.program import Program, program_of
from blockwise.firmware.phases import phases
from blockwise.firmware.toolchains import Built, Toolchain
from devices.errors import InputError
from devices.pace.cores import PACES

SIMULATED, BUILT, EMULATED = "simulating", "building", "emulating"
"""What a check does, one after the other."""


def check(
    subject: Subject, reference: Reference, steps: int, toolchain: Toolchain, emulator: Emulator,
    *, trace: bool = False, every: int = 1, watched: frozenset[int] | None = None, tell: Tell = silent,
) -> Checked:  # fmt: skip
    """Train ``steps`` steps on the emulated board and compare after each.

    Of ``watched`` steps the instructions are counted, and with ``trace`` the live bytes measured: by default
    of each phase's ``every``-th, the first that does all that there is to do. The project is left as it is.
    Raises InputError for no steps, and where a tool is missing or has no form of the board's core; BuildError
    where the project does not come out as planned.
    """
    check_steps(steps)
    memory = emulator.memory(subject.device, subject.memory)
    exchanges = _simulated(reference, steps, tell)
    watch = _whole_steps(exchanges, every) if watched is None else watched
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell(BUILT, 0)
        built = _built(subject, memory, toolchain, folder)
        (folder / "check.in").write_bytes(b"".join(exchange.sent for exchange in exchanges))
        output = folder / "check.out"
        with growing(output, sum(tensor.bytes for tensor in reference.tensors), EMULATED, tell):
            run = emulator.run(built.elf, subject.device, memory, folder, Watch(watch, accesses=trace))
        found = compared(reference.tensors, exchanges, output.read_bytes() if output.exists() else b"")
        program = program_of(built.elf)
    return Checked(
        subject.device.name, toolchain.name, emulator.name, emulator.proves(subject.device, memory),
        sum(exchange.step for exchange in exchanges),
        found, run.exit_code, run.fault, _fault_name(run, subject), run.strayed, _ram(program, memory),
        _reserve(program, memory, built, run), _flash(program, subject), _cost(run, subject),
        _traced(run, subject, memory), run.seconds,
    )  # fmt: skip


def check_images(in_shape: tuple[int, ...] | None) -> None:
    """Raise InputError for a check without images, of which the shape alone is told."""
    if in_shape is not None:
        raise InputError(
            "--check", got="--in-shape beside it, without images", wanted="images to train on",
            do="name --data in its place",
        )  # fmt: skip


def check_steps(steps: int) -> None:
    """Raise InputError for no steps."""
    if steps < 1:
        raise InputError("--check", got=steps, wanted="1 step or more", do="choose a number of steps")


def _simulated(reference: Reference, steps: int, tell: Tell) -> list[Exchange]:
    exchanges, done = [], 0
    for exchange in reference.exchanges(steps):
        exchanges.append(exchange)
        done += exchange.step
        tell(SIMULATED, done)
    return exchanges


def _whole_steps(exchanges: Sequence[Exchange], every: int) -> frozenset[int]:
    """Of each run of steps the number of the ``every``-th, or of its last where it is shorter."""
    runs = [len([*steps]) for is_step, steps in groupby(exchanges, lambda exchange: exchange.step) if is_step]
    firsts = accumulate(runs, initial=0)
    return frozenset(first + min(every, length) - 1 for first, length in zip(firsts, runs, strict=False))


def _fault_name(run: Run, subject: Subject) -> str:
    if run.fault is None or run.fault.operation is None:
        return ""
    return subject.schedule.operations[run.fault.operation].name


def _built(subject: Subject, memory: MemoryMap, toolchain: Toolchain, folder: Path) -> Built:
    """The harness, in a copy of the project; for the memory of another machine by a script of its own."""
    project = folder / "project"
    shutil.copytree(subject.project, project)
    script = "board.ld"
    if memory != subject.memory:
        script = "machine.ld"
        (project / script).write_text(linker.script(memory), "utf-8")
    return toolchain.build(project, subject.device, "check", folder / "check.elf", script)


def _ram(program: Program, memory: MemoryMap) -> tuple[RunOfRam, ...]:
    return tuple(
        RunOfRam(array.run.name, array.start, array.size_bytes, *program.sections.get(array.section, (0, 0)))
        for array in memory.arrays
    )


def _reserve(program: Program, memory: MemoryMap, built: Built, run: Run) -> Reserve:
    statics = program.symbols["blockwise_stack"] - memory.reserve.start
    return Reserve(memory.reserve.size_bytes, statics, run.stack_bytes, built.stack_bound)


def _flash(program: Program, subject: Subject) -> Flash:
    """The board's own, whatever machine stood for it; statics with a first value have it there too."""
    return Flash(subject.memory.flash.size_bytes, sum(len(content) for _, content in program.segments))


def _cost(run: Run, subject: Subject) -> StepCost | None:
    if not run.instructions:
        return None
    totals: dict[int, int] = {}
    for counted in run.instructions.values():
        for number, count in counted.by_operation.items():
            totals[number] = totals.get(number, 0) + count
    names = _names(subject)
    operations = tuple(
        OperationCost(number, names[number], totals[number], operation.macs)
        for number, operation in enumerate(subject.schedule.operations)
        if number in totals
    )
    pace = PACES[core_of(subject.device).name]
    between = sum(counted.between for counted in run.instructions.values())
    return StepCost(operations, between, subject.device.clock_mhz, pace.cycles_per_instruction, pace.rests_on)


def _names(subject: Subject) -> list[str]:
    """Of the operations; one that several phases perform tells in which it stands."""
    names = [operation.name for operation in subject.schedule.operations]
    often = {name for name, count in Counter(names).items() if count > 1}
    found = phases(subject.schedule)
    for number, phase in enumerate(found, 1):
        for index in phase.step:
            if names[index] in often and len(found) > 1:
                names[index] += f" (phase {number})"
    return names


def _traced(run: Run, subject: Subject, memory: MemoryMap) -> Traced | None:
    """Of all watched steps."""
    if not run.accesses:
        return None
    planned = PlannedBytes(subject.schedule, memory, subject.addresses)
    found = [traced(accesses, planned) for accesses in run.accesses.values()]
    return Traced(
        tuple(moment for one in found for moment in one.live),
        tuple(stranger for one in found for stranger in one.strangers),
        tuple(number for one in found for number in one.skipped),
    )
