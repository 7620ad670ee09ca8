"""README.md of a project: what it is, how it is built and used, and where its bytes lie."""

from blockwise.firmware.emit import persist
from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.emit.text import flash_offsets
from blockwise.firmware.emit.weights import FROZEN
from blockwise.firmware.memory import memory_of
from blockwise.firmware.program import Firmware
from blockwise.firmware.slots import slots_of

TOP = """\
# {regime}, {batch} image(s) a step, in C

One training step as a program without heap and without libc: a function for every operation of the plan,
constant shapes, literal addresses. {board}

- `blockwise.h` is what your own program calls; `main.c` is an example of one. {predicts}
- `step.c` is the step. `kernels/` has what its operations are made of.
- `check.c` performs what the file `check.in` asks for, so that another program can compare every step.

Where a comment names a document of docs/, it is Blockwise's own, which stands beside its source.
"""

BUILD = """\
## Build

```sh
make             # main.elf and check.elf, by arm-none-eabi-gcc
make ZIG=1       # the same by zig: pip install ziglang
make host        # for this computer, by any compiler
```

`board.ld` puts every array where the plan has it, and refuses a program of another size: a tensor's address
is the plan's. Statics and stack share the reserve.
"""

HOST = """\
## Build

```sh
make host        # for this computer, by any compiler
```
"""


def text(firmware: Firmware, dialect: Dialect) -> str:
    """The file."""
    device = firmware.device
    predicts = any("BLOCKWISE_PREDICTS" in line for line in dialect.declarations)
    top = TOP.format(
        regime=firmware.regime, batch=firmware.batch,
        board="" if device is None else f"For the {device.title}.",
        predicts="Between steps it predicts, too." if predicts else "It has no room to predict in.",
    )  # fmt: skip
    notes = [f"## {title}\n\n{told}\n" for title, told in firmware.notes.items()]
    parts = [
        top,
        HOST if device is None else BUILD,
        _ram(firmware),
        *_flash(firmware),
        *_saving(firmware),
        *notes,
    ]
    return "\n".join([*parts, _state(firmware)])


def _ram(firmware: Firmware) -> str:
    rows = ["## RAM", "", "| what | from | bytes | of a run of |", "|---|--:|--:|--:|"]
    for number, stretch in enumerate(firmware.stretches):
        start = "" if stretch.start is None else f"0x{stretch.start:08X}"
        what = f"tensors in {stretch.name}, `blockwise_ram{number}`"
        rows.append(f"| {what} | {start} | {stretch.height:,} | {stretch.size_bytes:,} |")
    if firmware.device is not None:
        rest = memory_of(firmware).reserve
        rows.append(f"| statics and stack | 0x{rest.start:08X} | {rest.size_bytes:,} | |")
    return "\n".join([*rows, ""])


def _flash(firmware: Firmware) -> list[str]:
    """What a program finds there: how much it takes is known when it is built."""
    if firmware.device is None:
        return []
    rows = ["## Flash", "", "| what | from | bytes |", "|---|--:|--:|"]
    memory = memory_of(firmware)
    room = memory.flash
    rows.append(f"| room for code and constants | 0x{room.start:08X} | {room.size_bytes:,} |")
    if firmware.given is not None:
        size = sum(tensor.bytes for tensor in firmware.resident)
        rows.append(f"| of it the weights to start from, `weights.c` | | {size:,} |")
    if size := flash_offsets(firmware)[""]:
        kinds = {"weights that are not trained, read in place": firmware.in_flash,
                 "first weights of heads": firmware.first}  # fmt: skip
        what = " and ".join(kind for kind, found in kinds.items() if found)
        rows.append(f"| of it {what}, `{FROZEN}` | | {size:,} |")
    if memory.slots is not None:
        start, size = memory.slots.start, memory.slots.size_bytes
        rows.append(f"| two slots that keep the training | 0x{start:08X} | {size:,} |")
    return ["\n".join([*rows, "", "`arm-none-eabi-size main.elf` tells what a program takes.", ""])]


def _saving(firmware: Firmware) -> list[str]:
    slots = slots_of(firmware)
    return [] if slots is None else [persist.told(firmware, slots)]


def _state(firmware: Firmware) -> str:
    rows = [
        "## What outlives a step",
        "",
        "| tensor | run | offset | bytes | bits |",
        "|---|---|--:|--:|--:|",
    ]
    for tensor in firmware.resident:
        spot = firmware.spots[tensor.name]
        run = firmware.stretches[spot.stretch].name
        rows.append(f"| {tensor.name} | {run} | {spot.offset:,} | {tensor.bytes:,} | {tensor.bits} |")
    whole = sum(tensor.bytes for tensor in firmware.resident)
    return "\n".join([*rows, f"| all | | | {whole:,} | |", ""])
