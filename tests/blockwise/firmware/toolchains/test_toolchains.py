"""Compilers: the program lies where it was planned, is the same from build to build, or is refused."""

import dataclasses
import importlib.util
import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from saving_firmware import saving
from stand_in import StandIn
from tools import HAS_GCC

from blockwise.firmware.emit.project import project
from blockwise.firmware.emulators.program import program_of
from blockwise.firmware.toolchains import GCC, TOOLCHAINS, ZIG
from blockwise.firmware.toolchains.stack import bound_of
from blockwise.firmware.toolchains.toolchain import BuildError, sources
from devices.boards.profile import load
from devices.errors import InputError

FOUND = [ZIG, *([GCC] if HAS_GCC else [])]
BOARDS = (
    "stm32f405",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("rp2040", "rp2350", "stm32n657")),
)


def symbols(elf):
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def test_toolchains_are_found_by_their_names():
    assert all(toolchain.name == name for name, toolchain in TOOLCHAINS.items())


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
def test_a_program_lies_where_it_was_planned_and_two_builds_are_the_same(toolchain, board, tmp_path):
    tiny = StandIn(load(board))
    builds = []
    for folder in ("one", "another"):
        project = tiny.write(tmp_path / folder)
        builds.append(toolchain.build(project, tiny.device, "check", tmp_path / f"{folder}.elf"))
    assert builds[0].elf.read_bytes() == builds[1].elf.read_bytes()
    found = symbols(builds[0].elf)
    (array,) = tiny.memory.arrays
    assert found["blockwise_ram0"] == array.start
    assert found["blockwise_stack_end"] == tiny.memory.reserve.end
    assert found["reset"] & ~1 >= tiny.memory.flash.start


@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
@pytest.mark.parametrize("board", ["stm32f103", pytest.param("rp2040", marks=pytest.mark.slow)])
def test_a_program_that_saves_calls_no_library(toolchain, board, tmp_path):
    """Of a copy of a structure a compiler may make a call of memcpy."""
    firmware = saving(board, "niti")
    project(firmware, tmp_path / "p")
    built = toolchain.build(tmp_path / "p", firmware.device, "main", tmp_path / "main.elf")
    assert "blockwise_save" in symbols(built.elf)


@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
def test_an_array_of_another_length_than_planned_is_not_linked(toolchain, tmp_path):
    tiny = StandIn()
    project = tiny.write(tmp_path / "p", step=("blockwise_ram0[HEIGHT]", "blockwise_ram0[HEIGHT + 8]"))
    with pytest.raises(BuildError, match="not the 104 bytes that were planned") as caught:
        toolchain.build(project, tiny.device, "check", tmp_path / "x.elf")
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)


@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
def test_statics_that_leave_no_stack_are_not_linked(toolchain, tmp_path):
    tiny = StandIn()
    more = "static volatile uint8_t more[8100]; int main(void) { more[0] = 1;"
    project = tiny.write(tmp_path / "p", check=("int main(void) {", more))
    with pytest.raises(BuildError, match="need more than the reserve of 8192 bytes"):
        toolchain.build(project, tiny.device, "check", tmp_path / "x.elf")


@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
def test_a_program_larger_than_the_flash_is_not_linked(toolchain, tmp_path):
    flash = dataclasses.replace(load("stm32").flash, size_bytes=1024, erase_bytes=1024)
    tiny = StandIn(dataclasses.replace(load("stm32"), flash=flash, flash_bytes=1024))
    with pytest.raises(BuildError, match=r"overflow the FLASH by [\d,]+ bytes, .* fewer blocks"):
        toolchain.build(tiny.write(tmp_path / "p"), tiny.device, "check", tmp_path / "x.elf")


def test_a_program_lands_where_it_is_asked_for_from_wherever_that_is(tmp_path, monkeypatch):
    tiny = StandIn()
    tiny.write(tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    assert ZIG.build(Path("p"), tiny.device, "check", Path("x.elf")).elf == Path("x.elf")
    assert (tmp_path / "x.elf").is_file()


def test_a_source_that_does_not_compile_is_told_in_one_line(tmp_path):
    tiny = StandIn()
    project = tiny.write(tmp_path / "p", check=("int main(void) {", "int main(void) { nonsense;"))
    with pytest.raises(BuildError, match=r"check\.c.*error.*nonsense"):
        ZIG.build(project, tiny.device, "check", tmp_path / "x.elf")


@pytest.mark.parametrize(("toolchain", "what"), [(ZIG, "uv sync --extra firmware"), (GCC, "apt install")])
def test_a_compiler_that_is_not_there_is_told_with_what_to_install(toolchain, what, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=what) as caught:
        toolchain.build(tmp_path, load("stm32"), "check", tmp_path / "x.elf")
    assert caught.value.exit_code == 2


def test_the_harness_and_the_example_are_programs_of_their_own(tmp_path):
    for name in ("check.c", "main.c", "port_host.c", "port_semihosting.c", "step.c", "start.c"):
        (tmp_path / name).touch()
    assert sources(tmp_path, "check") == ("check.c", "port_semihosting.c", "start.c", "step.c")
    assert sources(tmp_path, "main") == ("main.c", "start.c", "step.c")


GRAPH = """
node: {{ title: "reset" label: "reset\\nstart.c:1\\n8 bytes (static)\\n0 dynamic objects" }}
node: {{ title: "main" label: "main\\nmain.c:1\\n24 bytes (static)\\n0 dynamic objects" }}
node: {{ title: "leaf" label: "leaf\\nmain.c:9\\n{leaf}\\n0 dynamic objects" }}
node: {{ title: "other" label: "other\\nmain.c:9\\n40 bytes (static)" }}
edge: {{ sourcename: "reset" targetname: "main" label: "start.c:2" }}
edge: {{ sourcename: "main" targetname: "leaf" label: "main.c:3" }}
edge: {{ sourcename: "main" targetname: "other" label: "main.c:4" }}
{more}
"""


def test_the_bound_of_the_stack_is_the_deepest_chain_of_calls():
    assert bound_of([GRAPH.format(leaf="16 bytes (static)", more="")], "reset") == 8 + 24 + 40
    assert bound_of([GRAPH.format(leaf="64 bytes (static)", more="")], "reset") == 8 + 24 + 64


@pytest.mark.parametrize(
    ("leaf", "more"),
    [
        ("16 bytes (dynamic)", ""),
        ("16 bytes (static)", 'edge: { sourcename: "leaf" targetname: "main" label: "" }'),
        ("16 bytes (static)", 'edge: { sourcename: "leaf" targetname: "__indirect_call" label: "" }'),
    ],
)
def test_nothing_bounds_a_stack_of_unknown_frames_recursion_or_unknown_calls(leaf, more):
    assert bound_of([GRAPH.format(leaf=leaf, more=more)], "reset") is None


@pytest.mark.parametrize("toolchain", FOUND, ids=lambda toolchain: toolchain.name)
def test_the_words_of_a_boot_rom_lie_behind_the_vectors_of_a_program(toolchain, tmp_path):
    tiny = StandIn(load("rp2350"))
    elf = toolchain.build(tiny.write(tmp_path / "p"), tiny.device, "check", tmp_path / "x.elf").elf
    ((start, content), *_) = program_of(elf).segments
    words = [int.from_bytes(content[at : at + 4], "little") for at in range(64, 84, 4)]
    assert start == 0x1000_0000 and tuple(words) == tiny.device.flash.boot_words
