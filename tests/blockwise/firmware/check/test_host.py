"""Float firmware built and emulated by a second pair of tools ends with the bits of this computer, too."""

import pytest
from tiers import shown
from tools import needs_qemu

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.firmware import project
from blockwise.firmware.check.checking import check
from blockwise.firmware.check.host import HostReference
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.emulators import QEMU
from blockwise.firmware.float_start import byte_batches, float_firmware
from blockwise.firmware.toolchains import GCC

SETTINGS = {"data": "digits", "batch_size": 2, "width": 4, "model": "cnn", "method": "lsq"}


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("board", shown(["stm32", "stm32n657"], "stm32"))
def test_a_second_pair_of_tools_ends_with_the_same_bits(board, tmp_path):
    made = prepare(config_of({"regimes": ("local-resident",), "device": board, **SETTINGS}))
    firmware = float_firmware(made, "local-resident")
    project(firmware, tmp_path / "project")
    reference = HostReference(firmware, tmp_path / "project", byte_batches(made, 1), lambda done, total: 0.05)
    found = check(subject_of(firmware, tmp_path / "project"), reference, 6, GCC, QEMU)
    assert found.wrong == () and found.compared.steps == 6
    assert found.reserve.stack <= found.reserve.stack_bound
