"""What a project will take of the flash, beside what builds by zig took (measured, steps compared)."""

import pytest

from blockwise.api import write_firmware

MEASURED = {"all": 41_680, "last:2": 35_936, "last:1": 31_280}
"""Bytes of plain4 at width 8 under niti on two images, for the STM32F746: code and constants."""


@pytest.mark.parametrize("part", MEASURED)
def test_the_flash_of_a_part_is_foreseen_as_well_as_that_of_the_whole_network(part, tmp_path):
    result = write_firmware(
        "plain4", "stm32", out=tmp_path / "project", width=8, regime="niti", batch_size=2, train=part
    )
    assert result.flash_estimate == pytest.approx(MEASURED[part], rel=0.1)
