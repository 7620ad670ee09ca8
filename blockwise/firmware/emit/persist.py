"""What firmware that saves has beside its step: where a training is, and how its slots are laid out."""

from collections.abc import Mapping, Sequence

from blockwise.firmware.emit.dialect import Dialect
from blockwise.firmware.emit.text import indented
from blockwise.firmware.program import Firmware
from blockwise.firmware.slots import Slots, layout_of, slots_of

COPIED: Mapping[str, str] = {
    "persist.c": "persist/persist.c",
    "persist.h": "persist/persist.h",
    "flash.h": "persist/flash.h",
    "port_flash_host.c": "port/flash_host.c",
}
"""File of a project that saves -> where it stands under ``c``."""

OF_BOARD: Mapping[str, str] = {
    "flash_board.c": "persist/flash_board.c",
    "port_flash.c": "port/flash_emulated.c",
}
"""The same of what only a board needs."""

HEADERS = ("common/crc32.h",)


_CONSTANTS = """\
#define BLOCKWISE_SAVE_EVERY {every}        /* steps: how often to call blockwise_save */
#define BLOCKWISE_LAYOUT 0x{layout:08X}u /* of the state: a slot of another program does not count */
#define BLOCKWISE_SLOT_BYTES {slot}u
#define BLOCKWISE_SECTOR_BYTES {sector}u   /* of flash, erased at once */
#define BLOCKWISE_UNIT_BYTES {unit}u       /* of flash, programmed at once */

/* Keep the whole training in flash: call it behind a step. 0 when it is kept; -1 where flash cannot be
 * written, and what was kept before still is. */
int blockwise_save(void);

/* Call it once after power-on: goes on where the training was kept, and returns how many steps are behind.
 * -1 if nothing is kept: begin with blockwise_init. The next step needs the batch that it would have had. */
int blockwise_restore(void);

/* Erase what is kept, to begin anew. 0; -1 where flash cannot be erased: what was kept last may still be. */
int blockwise_forget(void);

/* Steps that are behind, those before a power cut too. */
uint32_t blockwise_steps(void);"""

_PHASE = """
/* The phase that has begun: behind blockwise_restore its steps go on, without blockwise_begin. */
uint32_t blockwise_phase(void);"""


def declarations(firmware: Firmware) -> Sequence[str]:
    """Of blockwise.h; nothing for firmware that does not save."""
    slots = slots_of(firmware)
    if slots is None:
        return ()
    constants = _CONSTANTS.format(
        every=firmware.save_every, layout=layout_of(firmware), slot=slots.slot_bytes,
        sector=slots.erase_bytes, unit=slots.program_bytes,
    )  # fmt: skip
    return (constants, _PHASE) if firmware.one_by_one else (constants,)


def statics(firmware: Firmware) -> Sequence[str]:
    """Of step.c."""
    return ("/* Steps that are behind. */", "static uint32_t steps;") if firmware.counts_steps else ()


def counted(firmware: Firmware) -> Sequence[str]:
    """Behind the operations of a step."""
    return ("steps++;",) if firmware.counts_steps else ()


def anew(firmware: Firmware) -> Sequence[str]:
    """Where first values are set."""
    return ("steps = 0;",) if firmware.counts_steps else ()


def functions(firmware: Firmware, dialect: Dialect) -> Sequence[str]:
    """Of step.c: its variables as persist.c reads and sets them."""
    if not firmware.save_every:
        return ()
    phase = "phase" if firmware.one_by_one else dialect.kept
    there = ["steps = there.steps;", "blockwise_set_rate_bits(there.rate);"]
    told = ["uint32_t blockwise_steps(void) { return steps; }"]
    if firmware.one_by_one:
        there.append("phase = there.phase;")
        told.append("uint32_t blockwise_phase(void) { return phase; }")
    elif dialect.kept != "0":
        there.append(f"{dialect.kept} = there.phase;")
    here = f"return (struct position){{steps, {phase}, {dialect.rate_bits}}};"
    return [
        *told,
        f"struct position blockwise_position(void) {{ {here} }}",
        f"void blockwise_go_to(struct position there) {{\n{indented(there)}}}",
    ]


def told(firmware: Firmware, slots: Slots) -> str:
    """The section of the project's README."""
    flash, every = firmware.device.flash if firmware.device else None, firmware.save_every
    assert flash is not None  # or there would be no slots
    return _README.format(
        every=f"{every} steps" if every > 1 else "step", slot=slots.slot_bytes, sector=slots.erase_bytes,
        state=slots.state_bytes, header=slots.header_bytes, life=slots.steps_of_life(flash, every),
        cycles=flash.erase_cycles,
    )  # fmt: skip


_README = """\
## Power cuts

`blockwise_save()`, called at every {every}, keeps {state:,} bytes of state behind a header of {header:,}
in one of two slots of {slot:,} bytes at the end of flash, in sectors of {sector:,}. The slots take turns;
after a power cut `blockwise_restore()` goes on from the newer one that is whole, with the same bits. Fill in
`flash_board.c` for your part: `flash.h` says what its functions do. With {cycles:,} erases of a sector,
saving goes on for {life:,} steps.
"""
