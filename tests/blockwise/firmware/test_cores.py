"""Which boards have a build, and what compilers are told of their cores."""

import dataclasses

import pytest
from toy_board import BOARDS

from blockwise.firmware.cores import CORES, core_of
from blockwise.firmware.toolchains import gcc, zig
from devices.boards.profile import load
from devices.errors import InputError

WITHOUT = {"esp32-s3", "esp32-c3", "gap8"}


@pytest.mark.parametrize("name", BOARDS)
def test_every_built_in_board_has_a_build_unless_its_core_is_none_of_arms(name):
    device = load(name)
    if name in WITHOUT:
        with pytest.raises(InputError, match=r"no build yet$"):
            core_of(device)
    else:
        assert core_of(device) is CORES[device.core.removeprefix("2x ").removesuffix("F")]


def test_cores_are_named_by_themselves():
    assert all(name == core.name for name, core in CORES.items())


@pytest.mark.parametrize(
    ("board", "zigs", "gccs"),
    [
        ("rp2040", ("eabi", "cortex_m0plus"), ("cortex-m0plus", "soft")),
        ("stm32f103", ("eabi", "cortex_m3"), ("cortex-m3", "soft")),
        ("stm32f405", ("eabihf", "cortex_m4+vfp4d16sp"), ("cortex-m4", "hard")),
        ("stm32", ("eabihf", "cortex_m7+fp_armv8d16sp"), ("cortex-m7", "hard")),
        ("nrf5340", ("eabihf", "cortex_m33+fp_armv8d16sp+dsp"), ("cortex-m33", "hard")),
        ("stm32n657", ("eabihf", "cortex_m55+fp_armv8d16sp+mve+mve_fp"), ("cortex-m55", "hard")),
    ],
)
def test_compilers_are_told_the_processor_and_its_float_unit(board, zigs, gccs):
    device = load(board)
    core = core_of(device)
    assert zig.machine(core, device) == ("-target", f"thumb-freestanding-{zigs[0]}", f"-mcpu={zigs[1]}")
    told = gcc.machine(core, device)
    assert told[0] == f"-mcpu={gccs[0]}" and told[-1] == f"-mfloat-abi={gccs[1]}"


def test_what_a_board_lacks_of_its_core_is_switched_off():
    bare = dataclasses.replace(load("nrf5340"), core="Cortex-M33", fpu=False, dsp=False)
    core = core_of(bare)
    assert zig.machine(core, bare) == ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m33-dsp")
    assert gcc.machine(core, bare) == ("-mcpu=cortex-m33+nodsp", "-mthumb", "-mfloat-abi=soft")
    without = dataclasses.replace(load("stm32n657"), vector="")
    assert zig.machine(CORES["Cortex-M55"], without)[-1].endswith("-mve-mve_fp")
    assert gcc.machine(CORES["Cortex-M55"], without)[0] == "-mcpu=cortex-m55+nomve"
