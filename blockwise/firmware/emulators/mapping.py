"""A core of unicorn's under the memory of a board as a plan uses it."""

from typing import TYPE_CHECKING

from blockwise.firmware.arenas import MemoryMap
from blockwise.firmware.cores import core_of
from blockwise.firmware.emulators.program import Program
from devices.boards.profile import Device

if TYPE_CHECKING:
    import unicorn

SYSTEM_SPACE, SYSTEM_BYTES = 0xE000_E000, 0x1000
WORD = 4
PAINT_BYTE = b"\xa5"
ERASED = b"\xff"


def engine_of(device: Device, memory: MemoryMap, program: Program) -> "unicorn.Uc":
    """The core at its reset, with the program in flash and nothing but the board's memory.

    Pages of RAM that hold neither tensors nor the reserve are left out; what shares a page with them is
    painted.
    """
    import unicorn
    from unicorn import arm_const

    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    engine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_CORTEX_{core_of(device).unicorn}"))
    page = engine.query(unicorn.UC_QUERY_PAGE_SIZE)
    start = memory.flash.start // page * page  # a boot stage may take less than a page
    engine.mem_map(start, memory.flash.end - start, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    if memory.slots is not None:
        engine.mem_map(memory.slots.start, memory.slots.size_bytes, unicorn.UC_PROT_READ)
        engine.mem_write(memory.slots.start, ERASED * memory.slots.size_bytes)
    for start, end in used_pages(memory, page):
        engine.mem_map(start, end - start, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
    for start, end in slack(memory, page):
        engine.mem_write(start, PAINT_BYTE * (end - start))
    engine.mem_map(SYSTEM_SPACE, SYSTEM_BYTES)
    for address, content in program.segments:
        engine.mem_write(address, content)
    vectors = program.sections[".text"][0]
    engine.reg_write(arm_const.UC_ARM_REG_SP, int.from_bytes(engine.mem_read(vectors, WORD), "little"))
    engine.reg_write(arm_const.UC_ARM_REG_PC, int.from_bytes(engine.mem_read(vectors + WORD, WORD), "little"))
    return engine


def used_pages(memory: MemoryMap, page: int) -> list[tuple[int, int]]:
    """The pages of the board's RAM that hold arrays or the reserve."""
    spans = sorted((*memory.arrays, memory.reserve), key=lambda span: span.start)
    pages: list[tuple[int, int]] = []
    for span in spans:
        start, end = span.start // page * page, -(-span.end // page) * page
        if pages and pages[-1][1] >= start:
            start, end = pages[-1][0], max(pages.pop()[1], end)
        if end > start:
            pages.append((start, end))
    return pages


def slack(memory: MemoryMap, page: int) -> list[tuple[int, int]]:
    """What lies in these pages beside arrays and reserve: whoever writes there writes over paint."""
    found = []
    for at, end in used_pages(memory, page):
        for span in sorted((*memory.arrays, memory.reserve), key=lambda span: span.start):
            if at <= span.start < end:
                found.append((at, span.start))
                at = span.end
        found.append((at, end))
    return [(start, end) for start, end in found if start < end]
