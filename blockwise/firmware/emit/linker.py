"""board.ld: what lies where, and the sums that must come out.

One output section per array of RAM is pinned at the address that the placer gave, and must be as long as
planned. Statics and stack share the board's reserve: statics at its start, the stack down from its end.
What is not told apart by name lies in flash. GNU ld and lld both read it.
"""

from collections.abc import Iterable

from blockwise.firmware.arenas import MemoryMap, RamArray, Span

LEAST_STACK = 256
"""Bytes that the stack must have where no compiler stated its bound: an exception frame with FPU
registers takes 104 (Armv7-M architecture reference manual, B1.5.6), the operations themselves the rest."""


def script(memory: MemoryMap) -> str:
    """The linker script. ``blockwise_stack_bound``, if defined when linking, is the bound to hold."""
    return "".join(
        f"{part}\n" for part in (_HEAD, _memory(memory), _sections(memory), _stack(memory), _checks(memory))
    )


_HEAD = """\
/* Every address and size here is the plan's; a program that does not come out like it is not linked. */
ENTRY(reset)
"""


def _memory(memory: MemoryMap) -> str:
    lines = [_region("FLASH", "rx", memory.flash, "code and constants")]
    for number, array in enumerate(memory.arrays):
        run = array.run
        end = memory.reserve.start if run.start <= memory.reserve.start < run.end else run.end
        room = Span(array.name, array.start, end - array.start)
        lines.append(_region(f"RAM{number}", "rw", room, f"{run.name}: {array.size_bytes} bytes planned"))
    lines.append(_region("RESERVE", "rw", memory.reserve, "statics and stack"))
    if memory.slots is not None:
        lines.append(_region("SLOTS", "r", memory.slots, "two slots that keep the training"))
    return _block("MEMORY", lines)


def _region(name: str, rights: str, span: Span, what: str) -> str:
    return f"{name} ({rights}) : ORIGIN = {span.start:#010x}, LENGTH = {span.size_bytes:#x} /* {what} */"


def _sections(memory: MemoryMap) -> str:
    boot = "".join(f"LONG({word:#010x}) " for word in memory.boot_words)
    lines = [
        f".text : {{ KEEP(*(.vectors)) {boot}*(.text .text.*) *(.rodata .rodata.*) . = ALIGN(8); }} > FLASH",
        *(_pinned(number, array) for number, array in enumerate(memory.arrays)),
        ".data : { blockwise_data = .; *(.data .data.*) . = ALIGN(8); blockwise_data_end = .; }"
        " > RESERVE AT> FLASH",
        ".bss (NOLOAD) : { blockwise_bss = .; *(.bss .bss.* COMMON) . = ALIGN(8); blockwise_bss_end = .; }"
        " > RESERVE",
        "/DISCARD/ : { *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.* .comment .note .note.*) }",
    ]
    return _block("SECTIONS", lines)


def _pinned(number: int, array: RamArray) -> str:
    return (
        f"{array.section} {array.start:#010x} (NOLOAD) : {{ KEEP(*({array.section})) }} > RAM{number}"
        f"\n  ASSERT(SIZEOF({array.section}) == {array.size_bytes},"
        f' "{array.name} is not the {array.size_bytes} bytes that were planned")'
        f"\n  ASSERT(ADDR({array.section}) == {array.start:#010x},"
        f' "{array.name} does not lie where it was planned")'
    )


def _stack(memory: MemoryMap) -> str:
    slots = "" if memory.slots is None else f"blockwise_slots = {memory.slots.start:#010x};\n"
    return (
        f"{slots}"
        "blockwise_data_load = LOADADDR(.data);\n"
        "blockwise_stack = blockwise_bss_end;\n"
        f"blockwise_stack_end = {memory.reserve.end:#010x};\n"
    )


def _checks(memory: MemoryMap) -> str:
    bound = f"(DEFINED(blockwise_stack_bound) ? blockwise_stack_bound : {LEAST_STACK})"
    return (
        f"ASSERT(blockwise_stack_end - blockwise_stack >= {bound},\n"
        f'  "stack and statics need more than the reserve of {memory.reserve.size_bytes} bytes")\n'
    )


def _block(name: str, lines: Iterable[str]) -> str:
    return "\n".join((f"{name}", "{", *(f"  {line}" for line in lines), "}", ""))
