"""Runs a schedule: operation by operation, loop by loop, each tensor poisoned behind its last reader."""

from collections.abc import Callable, Iterator, Mapping

from devices.program.execute.frame import Frame, Machine
from devices.program.execute.memory import Memory
from devices.program.operation import Operation
from devices.program.schedule import Loop, Schedule

Watch = Callable[[Operation, Memory], None]


def execute(
    schedule: Schedule, offsets: Mapping[str, int], machine: Machine, watch: Watch | None = None
) -> Memory:
    """The memory after one step of ``schedule`` with every tensor at its offset (bytes).

    ``machine`` gives what resident tensors hold before. Raises Misread where an operation touches what its
    schedule does not list; ``watch`` is told of every operation that is done, before anything is poisoned.
    """
    memory = Memory(schedule.tensors, offsets, integers=machine.integers)
    for name, tensor in schedule.tensors.items():
        if (tensor.resident or tensor.mapped) and (value := machine.initial(name)) is not None:
            memory.store(name, value)
    ends = _ends(schedule)
    for index, loop, turn in _order(schedule):
        operation = schedule.operations[index]
        layer = schedule.layers.get(operation.layer)
        here = _in_pass(memory, loop, turn)
        machine.kernel(operation, layer)(Frame(schedule, operation, here, machine, loop, turn))
        if watch is not None:
            watch(operation, here)
        for name in ends.get(index, ()):
            if loop is None or turn == loop.passes - 1 or schedule.lifetimes[name][0] >= loop.first:
                memory.poison(name)
    return memory


def _in_pass(memory: Memory, loop: Loop | None, turn: int) -> Memory:
    """The memory with the shapes of this pass: the last one may have fewer images."""
    fewer = loop is not None and turn == loop.passes - 1 and loop.left_over
    return memory.with_tensors(loop.left_over) if loop is not None and fewer else memory


def _ends(schedule: Schedule) -> dict[int, list[str]]:
    """Operation -> the tensors that die behind it; what is resident outlives the step."""
    ends: dict[int, list[str]] = {}
    for name, (_, last) in schedule.lifetimes.items():
        if not schedule.tensors[name].resident:
            ends.setdefault(last, []).append(name)
    return ends


def _order(schedule: Schedule) -> Iterator[tuple[int, Loop | None, int]]:
    """Operations as they are run, with the loop around them and its pass."""
    loops, index = {loop.first: loop for loop in schedule.loops}, 0
    while index < len(schedule.operations):
        loop = loops.get(index)
        if loop is None:
            yield index, None, 0
            index += 1
            continue
        for turn in range(loop.passes):
            for inside in range(loop.first, loop.last + 1):
                yield inside, loop, turn
        index = loop.last + 1
