"""What a step of integer training takes on a Cortex-M4, with sums by its DSP extension."""

from itertools import repeat

import pytest
import torch

import devices
from blockwise import models
from blockwise.firmware import project
from blockwise.firmware.check.checking import check
from blockwise.firmware.check.integers import IntegerTraining
from blockwise.firmware.check.subject import subject_of
from blockwise.firmware.emulators import UNICORN
from blockwise.firmware.program import of_plan
from blockwise.firmware.toolchains import ZIG
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES
from devices.program.integer import integer_network
from devices.program.regimes import Step

BOARD = "stm32l4r5"
LIMIT = 25_000_000


def cost_of(regime, folder):
    """One step of plain4 of width 16 on an image of 3x32x32, its bits compared."""
    chain = models.build("plain4", (3, 32, 32), 10, 16, "none")
    anatomy = Anatomy(chain, "gap")
    groups = anatomy.cut("layers", Step(1))
    network = anatomy.network(groups)
    net = IntegerNet(BlockNet(chain, groups, "gap"), arithmetic_of(regime), 7)
    plan = devices.plan(network, BOARD, regime=regime, requantize="buffered")
    firmware = of_plan(plan, integer_network(network), net, 7)
    image = torch.randint(
        0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    training = IntegerTraining(firmware, net, INTEGER_REGIMES[regime], repeat((image, torch.tensor([3]))))
    project(firmware, folder)
    found = check(subject_of(firmware, folder), training, 1, ZIG, UNICORN)
    assert found.wrong == ()
    return found.cost


@pytest.mark.slow
def test_steps_of_8_and_of_4_bits_stay_within_their_instructions(tmp_path):
    wide, narrow = cost_of("niti", tmp_path / "wide"), cost_of("niti4", tmp_path / "narrow")
    assert wide.macs == narrow.macs
    assert wide.macs < wide.instructions < LIMIT
    assert narrow.instructions < 1.3 * wide.instructions
