"""The limits of a step beside PyTorch's, and whose decisions count."""

import torch
from torch import nn

from blockwise.firmware.check.agreement import Agreement, PhaseAgreement
from blockwise.firmware.check.decisions import Decisions
from blockwise.firmware.check.told import Told
from blockwise.firmware.float_facts import Levels
from blockwise.quant.methods.lsq import LSQ

GOOD = PhaseAgreement(0, "conv1", 2e-6, 0.0, 2000, 2, 1, "conv1.weight")
INFINITE = float("inf")


def phase(**changes):
    return PhaseAgreement(**{**GOOD.__dict__, **changes})


def test_a_step_is_within_a_share_of_the_update_and_of_the_codes():
    assert GOOD.within and phase(share=1e-5).within
    assert not phase(share=1.1e-5).within and not phase(share=None).within
    assert not phase(flips=3).within and phase(codes=0, flips=0).within


def test_an_update_that_cancels_may_be_as_far_as_ten_times_pytorchs_own_rounding():
    assert phase(share=2e-4, rounding=2e-5).within
    assert not phase(share=2.1e-4, rounding=2e-5).within


def test_what_is_beyond_is_told_by_its_block_and_the_worst_is_that_without_a_number():
    found = Agreement((GOOD, phase(block="conv2", share=3e-3), phase(block="", share=None)), 2)
    assert found.worst.block == "" and (found.codes, found.flips, found.masks) == (6000, 6, 3)
    assert [line.split(",")[0] for line in found.wrong] == [
        "one step of conv2 is 3.0e-03 of its update from PyTorch's",
        "one step of all blocks is no number from PyTorch's",
    ]


def test_a_value_beside_a_threshold_decides_as_on_the_board_and_passes_gradients_so():
    """Codes 1 | 2 at 1.5, the end of the range at 3: of four values two hang on rounding, one is far away."""
    quantizer = LSQ(2, "activation")
    quantizer(torch.ones(1, 4))  # sets itself up by the first values
    nn.init.ones_(quantizer.step)
    own = torch.tensor([[1.5000002, 0.7, 3.0000005, 2.2]], requires_grad=True)
    read = torch.tensor([[1.4999998, 0.7, 3.0, 0.2]])
    told = Told("act", read, read.clamp(0, 3).round(), (0.0, INFINITE))
    with Decisions({"act": quantizer}, {"act": Levels(2, 0, 3)}, [told]) as decisions:
        made = quantizer(own)
    made.sum().backward()
    assert made.tolist() == [[1.0, 1.0, 3.0, 2.0]]
    assert own.grad.tolist() == [[1.0, 1.0, 1.0, 1.0]]
    assert (decisions.codes, decisions.flips, decisions.masks) == (4, 2, 1)
    assert quantizer(own).tolist() == [[2.0, 1.0, 3.0, 2.0]]  # without the hooks: its own


def test_of_floats_only_the_mask_is_a_decision():
    own = torch.tensor([[1e-8, -1.0, 1.0]], requires_grad=True)
    read = torch.tensor([[-1e-8, 1.0, 1.0]])
    told = Told("act", read, read.clamp(0), (0.0, INFINITE))
    with Decisions({"act": (relu := nn.ReLU())}, {}, [told]) as decisions:
        relu(own).sum().backward()
    assert own.grad.tolist() == [[0.0, 0.0, 1.0]]
    assert (decisions.codes, decisions.flips, decisions.masks) == (0, 0, 2)
