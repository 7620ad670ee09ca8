"""step.c: the arrays of the plan, a function for each operation, and the step that calls them in order."""

from collections.abc import Iterable, Iterator

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


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    parts = [
        _top(firmware, dialect),
        _arrays(firmware),
        "\n".join(dialect.statics),
        *operations(firmware, dialect, "operation"),
        _resident(firmware),
        _step(firmware),
        _batch(firmware),
        STATE,
        "\n\n".join(dialect.functions),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _top(firmware: Firmware, dialect: Dialect) -> str:
    headers = [f'#include "kernels/{path}"' for path in dialect.headers]
    said = f"A step of {firmware.regime}, {firmware.batch} image(s) at a time. Generated: do not edit."
    return "\n".join([comment(said), '#include "blockwise.h"', *headers])


def _arrays(firmware: Firmware) -> str:
    """One array for each run of RAM; the linker script puts it at the run's address."""
    lines = ["/* The RAM of the plan. Tensors that are not needed at the same time share their bytes. */"]
    for number, stretch in enumerate(firmware.stretches):
        lines.append(f"uint8_t blockwise_ram{number}[{stretch.height}] ARENA({number}); /* {stretch.name} */")
    return "\n".join(lines)


def operations(firmware: Firmware, dialect: Dialect, prefix: str) -> Iterator[str]:
    """A function for each operation of the firmware's schedule, named by its number."""
    for index, operation in enumerate(firmware.schedule.operations):
        body = indented([*dialect.operation(index, operation), "barrier();"])
        yield f"{comment(operation.name)}\nstatic NOINLINE void {prefix}_{index}(void) {{\n{body}}}"


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
    return "\n".join(["void blockwise_step(void) {", indented(_calls(firmware)) + "}"])


def _calls(firmware: Firmware) -> Iterable[str]:
    starts = {loop.first: loop for loop in firmware.schedule.loops}
    ends = {loop.last for loop in firmware.schedule.loops}
    for index in range(len(firmware.schedule.operations)):
        if index in starts:
            yield f"for (int turn = 0; turn < {starts[index].passes}; ++turn) {{"
        yield f"operation_{index}();"
        if index in ends:
            yield "}"


def _batch(firmware: Firmware) -> str:
    found = {"images": "batch.images", "labels": "batch.labels"}
    return "\n".join(
        f"uint8_t *blockwise_{name}(void) {{ return {address(firmware, tensor)}; }}"
        for name, tensor in found.items()
    )
