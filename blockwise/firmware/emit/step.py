"""step.c: the arrays of the plan, a function for each operation, and the step that calls them in order."""

from collections.abc import Iterable, Iterator

from blockwise.firmware.emit import persist
from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.emit.text import address, comment, indented
from blockwise.firmware.program import Firmware

STATE = """\
void blockwise_state_read(uint8_t *to) {
    for (int i = 0; i < BLOCKWISE_TENSORS; to += blockwise_state[i++].size)
        copy_bytes(to, blockwise_state[i].bytes, blockwise_state[i].size);
}

void blockwise_state_write(const uint8_t *from) {
    for (int i = 0; i < BLOCKWISE_TENSORS; from += blockwise_state[i++].size)
        copy_bytes(blockwise_state[i].bytes, from, blockwise_state[i].size);
}"""


BATCH = ("images", "labels")
"""What a step is given, by its roles."""


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    parts = [
        _top(firmware, dialect),
        _arrays(firmware),
        "\n".join([*dialect.statics, *_turn(firmware), *persist.statics(firmware)]),
        *operations(firmware, dialect, "operation"),
        _resident(firmware),
        _step(firmware),
        _batch(firmware),
        STATE,
        "\n\n".join([*dialect.functions, *persist.functions(firmware, dialect)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _top(firmware: Firmware, dialect: Dialect) -> str:
    headers = [f'#include "kernels/{path}"' for path in dialect.headers]
    headers += ['#include "persist.h"'] if firmware.save_every else []
    said = f"A step of {firmware.regime}, {firmware.batch} image(s) at a time. Generated: do not edit."
    return "\n".join([comment(said), '#include "blockwise.h"', *headers])


def _arrays(firmware: Firmware) -> str:
    """One array for each run of RAM; the linker script puts it at the run's address."""
    lines = ["/* The RAM of the plan. Tensors that are not needed at the same time share their bytes. */"]
    for number, stretch in enumerate(firmware.stretches):
        lines.append(f"uint8_t blockwise_ram{number}[{stretch.height}] ARENA({number}); /* {stretch.name} */")
    return "\n".join(lines)


def _turn(firmware: Firmware) -> Iterable[str]:
    """Operations of a loop know which pass it is in."""
    return ["/* The pass of a loop. */", "static int turn;"] if firmware.schedule.loops else ()


def operations(firmware: Firmware, dialect: Dialect, prefix: str) -> Iterator[str]:
    """A function for each operation of the firmware's schedule, named by its number."""
    for index, operation in enumerate(firmware.schedule.operations):
        body = indented([*dialect.operation(index, operation), "barrier();"])
        functions = "".join(f"{line}\n" for line in dialect.operands(index, operation))
        head = f"static NOINLINE void {prefix}_{index}(void)"
        yield f"{functions}{comment(operation.name)}\n{head} {{\n{body}}}"


def _resident(firmware: Firmware) -> str:
    """The table of the state."""
    rows = [
        f"{{{address(firmware, tensor.name)}, {tensor.bytes}}}, {comment(tensor.name)}"
        for tensor in firmware.resident
    ]
    return (
        "/* What outlives a step, in the order in which it is read and written. */\n"
        f"const struct blockwise_tensor blockwise_state[BLOCKWISE_TENSORS] = {{\n{indented(rows)}}};"
    )


def _step(firmware: Firmware) -> str:
    """Loops of the schedule run their operations several times."""
    if firmware.one_by_one:
        return "\n\n".join(_phases(firmware))
    (whole,) = firmware.phases
    calls = [*_calls(firmware, whole.step), *persist.counted(firmware)]
    return "\n".join(["void blockwise_step(void) {", indented(calls) + "}"])


def _phases(firmware: Firmware) -> Iterable[str]:
    """What begins, repeats and ends the training of each block."""
    parts = {"begin": "uint32_t number", "step": "void", "end": "void"}
    for number, phase in enumerate(firmware.phases):
        for what in parts:
            calls = indented(_calls(firmware, getattr(phase, what)))
            yield f"static void {what}_{number}(void) {{\n{calls}}}"
    yield "/* The phase that has begun. */\nstatic uint32_t phase;"
    for what, parameters in parts.items():
        first = ["phase = number;"] if what == "begin" else []
        last = persist.counted(firmware) if what == "step" else ()
        cases = [f"if (phase == {number}) {what}_{number}();" for number in range(len(firmware.phases))]
        yield f"void blockwise_{what}({parameters}) {{\n{indented([*first, *cases, *last])}}}"


def _calls(firmware: Firmware, operations: range) -> Iterable[str]:
    starts = {loop.first: loop for loop in firmware.schedule.loops}
    ends = {loop.last for loop in firmware.schedule.loops}
    for index in operations:
        if index in starts:
            yield f"for (turn = 0; turn < {starts[index].passes}; ++turn) {{"
        yield f"operation_{index}();"
        if index in ends:
            yield "}"


def _batch(firmware: Firmware) -> str:
    """Each phase has its own place for them."""
    return "\n\n".join(f"uint8_t *blockwise_{what}(void) {{\n{_places(firmware, what)}}}" for what in BATCH)


def _places(firmware: Firmware, what: str) -> str:
    loads = [firmware.schedule.operations[phase.step.start] for phase in firmware.phases]
    *others, last = (address(firmware, dict(load.results)[what]) for load in loads)
    lines = [f"if (phase == {number}) return {place};" for number, place in enumerate(others)]
    return indented([*lines, f"return {last};"])
