"""The state of firmware: first weights from a seed, given weights, out of the board and back."""

import subprocess
from dataclasses import replace

import pytest
import torch
from firmware_steps import COMPILER, asked, batch_of, built, firmware_of, state_of, take_step
from integer_steps import IntegerSteps

from blockwise.firmware import project
from blockwise.firmware.check import records
from blockwise.firmware.layout import from_board, state_to_board, to_board

GIVEN = """\
#include "blockwise.h"
#include <stdio.h>
int main(void) {
    static uint8_t state[BLOCKWISE_STATE_BYTES];
    blockwise_state_write(blockwise_given);
    blockwise_state_read(state);
    return fwrite(state, 1, sizeof state, stdout) != sizeof state;
}
"""


def later(steps: IntegerSteps) -> dict[str, torch.Tensor]:
    """The state after a step."""
    take_step(steps, *batch_of(steps, 0))
    return state_of(steps)


def payload_of(firmware, state: dict[str, torch.Tensor]) -> bytes:
    return state_to_board(firmware, [state[tensor.name] for tensor in firmware.resident])


def test_a_state_is_taken_and_trained_on_as_the_simulation_would(tmp_path):
    steps = IntegerSteps("niti4-jump", batch=2)
    firmware = firmware_of(steps)
    first = payload_of(firmware, later(steps))
    x, y = batch_of(steps, 1)
    step = records.step(firmware, steps.net.mu, x, y)
    found = asked(firmware, built(firmware, tmp_path / "project"), [records.state(first), step])
    assert found[0] == first
    take_step(steps, x, y)
    assert found[1] == payload_of(firmware, state_of(steps))


@pytest.mark.slow
def test_given_weights_are_part_of_the_program(tmp_path):
    steps = IntegerSteps("niti4-local", batch=1)
    firmware = firmware_of(steps)
    firmware = replace(firmware, given=later(steps))
    project(firmware, tmp_path / "project")
    (tmp_path / "project" / "given.c").write_text(GIVEN)
    sources = ("step.c", "weights.c", "given.c")
    subprocess.run([*COMPILER, "-O0", *sources, "-o", "given"], cwd=tmp_path / "project", check=True)
    told = subprocess.run([tmp_path / "project" / "given"], capture_output=True, check=True).stdout
    assert told == payload_of(firmware, firmware.given)


@pytest.mark.parametrize("regime", ["niti", "niti4", "niti4-jump", "nitro-local"])
def test_bytes_of_the_board_are_those_of_the_simulation_with_channels_last(regime):
    steps = IntegerSteps(regime, batch=1)
    firmware, state = firmware_of(steps), state_of(steps)
    for tensor in firmware.resident:
        payload = to_board(firmware, tensor, state[tensor.name])
        assert len(payload) == tensor.bytes
        assert torch.equal(from_board(firmware, tensor, payload).long(), state[tensor.name].long())
    (conv,) = [tensor for tensor in firmware.resident if tensor.name == "conv2.conv.weight"]
    codes = from_board(firmware, replace(conv, name="alone"), to_board(firmware, conv, state[conv.name]))
    assert codes.view(8, 3, 3, 4)[5, 2, 1, 3] == state[conv.name].view(8, 4, 3, 3)[5, 3, 2, 1]
