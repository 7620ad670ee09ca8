"""QEMU: where a board's RAM goes on its machines, and the same bits from a second pair of tools."""

import shutil

import pytest
from stand_in import StandIn, sent
from tools import needs_qemu

from blockwise.firmware.arenas import Span, memory_map
from blockwise.firmware.emit import linker
from blockwise.firmware.emulators.qemu import MACHINES, QEMU, machine_of, on_machine
from blockwise.firmware.toolchains import GCC
from devices.boards.profile import KIB, load
from devices.errors import InputError


def test_ram_that_the_machine_has_stays_where_it_is():
    memory = memory_map(load("stm32"), {"DTCM+SRAM1+SRAM2": 1000})
    moved = on_machine(MACHINES["mps2-an500"], memory)
    assert (moved.runs, moved.reserve, moved.arrays) == (memory.runs, memory.reserve, memory.arrays)
    assert moved.flash == Span("SSRAM1", 0, 4096 * KIB)


def test_ram_that_it_has_not_is_moved_behind_the_rest():
    memory = memory_map(load("stm32f405"), {"CCM": 1001, "SRAM1+SRAM2": 2000})
    moved = on_machine(machine_of(load("stm32f405")), memory)
    ccm, sram = moved.arrays
    assert (sram.start, ccm.start) == (0x2000_0000, 0x2002_0000)
    assert moved.runs[0] == Span("CCM", 0x2002_0000, 1008 + 8 * KIB)
    assert moved.reserve == Span("RESERVE", 0x2002_0000 + 1008, 8 * KIB)


def test_a_core_without_a_machine_and_a_plan_without_room_are_refused():
    with pytest.raises(InputError, match=r"Cortex-M0\+.*--emulator unicorn"):
        machine_of(load("rp2040"))
    n6 = load("stm32n657")
    name = memory_map(n6, {}).runs[0].name
    with pytest.raises(InputError, match="mps3-an547 has room for"):
        on_machine(MACHINES["mps3-an547"], memory_map(n6, {name: 4100 * KIB}))


def test_an_emulator_that_is_not_there_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt install qemu-system-arm"):
        QEMU.memory(StandIn().device, StandIn().memory)


def built(tiny, tmp_path, **edits):
    project, memory = tiny.write(tmp_path, **edits), QEMU.memory(tiny.device, tiny.memory)
    (project / "qemu.ld").write_text(linker.script(memory), "utf-8")
    (project / "check.in").write_bytes(sent(tiny.steps(20)))
    return GCC.build(project, tiny.device, "check", tmp_path / "check.elf", "qemu.ld"), memory


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("board", ["stm32f103", "stm32f405", "nrf52840", "stm32", "stm32n657"])
def test_a_second_compiler_and_emulator_train_to_the_same_bits(board, tmp_path):
    tiny = StandIn(load(board))
    program, memory = built(tiny, tmp_path)
    run = QEMU.run(program.elf, tiny.device, memory, tmp_path)
    assert (run.exit_code, run.fault) == (0, None)
    assert (tmp_path / "check.out").read_bytes() == b"".join(state for _, state in tiny.steps(20))
    assert 0 < run.stack_bytes <= program.stack_bound
    assert "not the bounds" in QEMU.proves(tiny.device, memory)


@needs_qemu
def test_a_word_behind_the_chips_ram_is_told_with_its_address_and_operation(tmp_path):
    state = "uint32_t state = *RANDOM;"
    tiny = StandIn(load("stm32f405"))
    program, memory = built(
        tiny, tmp_path, step=(state, f"{state} *(volatile uint32_t *)0x20030000u = state;")
    )
    run = QEMU.run(program.elf, tiny.device, memory, tmp_path)
    assert (run.exit_code, run.fault.address, run.fault.operation) == (None, 0x2003_0000, 2)
    assert run.fault.pc >= 0x0800_0000
