"""Inference of the three-layer network, counted by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import BODY_A, BODY_B, HEAD_B, NETWORK

from devices.network import Block, Network
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits
from devices.program.categories import (
    CATEGORIES,
    NORM_AND_QUANTIZER,
    PACKED_WEIGHTS,
    SCRATCH,
    WORKING_TENSORS,
)
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

W4A4 = Bits(4, 4, 8, FIXED_LEVELS, FIXED_LEVELS)
FLOAT = Bits(32, 32, 32, FIXED_LEVELS, FIXED_LEVELS)

# W4A4: conv1 36 and linear 192 bytes at 8 bits, conv2 72 at 4 bits, linear's bias 12.
PACKED = 36 + 192 + 72 + 12
FOLDED = 2 * 8 * 4  # two norms, a scale and a shift for each of 4 channels
# A map is 4x4x4 = 64 elements: 256 bytes at 32 bits, 64 at 8, 32 at 4; an image is 16 bytes.
# Sums are no map: each goes through norm and ReLU as soon as it is complete.
W4A4_LIVE = {
    "deployed network": 0,
    "load batch": 16,
    "relu1 forward": 16 + 9 + 32,  # image, one filter of conv1 unpacked to bytes, codes
    "relu2 forward": 32 + 36 + 64,
    "linear forward": 64 + 12 + 64,
    "result": 12,
}
FLOAT_LIVE = {
    "deployed network": 0,
    "load batch": 16,
    "relu1 forward": 16 + 256,
    "relu2 forward": 256 + 256,
    "linear forward": 256 + 12,
    "result": 12,
}


def ledger(bits: Bits, batch: int = 1, network: Network = NETWORK) -> Ledger:
    return Ledger(inference(network, Step(batch, "sgd-momentum", bits)), alignment=1)


@pytest.mark.parametrize(
    ("bits", "static", "live"),
    # float: all 391 parameters, norms included, at 4 bytes
    [(W4A4, PACKED + FOLDED, W4A4_LIVE), (FLOAT, 391 * 4, FLOAT_LIVE)],
)
def test_every_moment_equals_the_sum_made_by_hand(bits, static, live):
    found = {moment.operation.name: moment.live_bytes for moment in ledger(bits).timeline}
    assert found == {name: static + size for name, size in live.items()}


def test_the_peak_is_split_as_by_hand():
    peak = ledger(W4A4).peak
    assert peak.operation.name == "linear forward"
    spent = {category: size for category, size in peak.by_category.items() if size}
    assert spent == {
        PACKED_WEIGHTS: PACKED, NORM_AND_QUANTIZER: FOLDED, WORKING_TENSORS: 64 + 12, SCRATCH: 64
    }  # fmt: skip


def test_a_trained_step_size_is_kept_as_a_constant_without_momentum():
    assert ledger(Bits(4, 4, 8)).peak.live_bytes - ledger(W4A4).peak.live_bytes == 5 * 4


def test_only_activations_grow_with_the_batch():
    # four times the maps outweigh linear's unpacked filter: the peak moves to relu2, with that of conv2
    four = ledger(W4A4, batch=4).peak
    assert four.operation.name == "relu2 forward"
    assert four.live_bytes == PACKED + FOLDED + 4 * (32 + 64) + 36


def test_the_cut_changes_nothing_and_neither_do_heads():
    whole = Network(NETWORK.in_shape, (Block("all", (*BODY_A, *BODY_B), HEAD_B),))
    assert inference(whole, Step(bits=W4A4)) == inference(NETWORK, Step(bits=W4A4))


bits_of = {
    "weight": st.sampled_from([*range(1, 9), 32]),
    "activation": st.sampled_from([*range(1, 9), 32]),
    "edge": st.sampled_from([8, 32]),
    "learned": st.booleans(),
}


@settings(max_examples=40)
@given(**bits_of)
def test_inference_keeps_nothing_and_needs_less_than_training(weight, activation, edge, learned):
    step = Step(1, "sgd", Bits(weight, activation, edge, *2 * (ONE_STEP if learned else FIXED_LEVELS,)))
    program = inference(NETWORK, step)
    assert {t.category for t in program.tensors.values()} <= {
        PACKED_WEIGHTS, NORM_AND_QUANTIZER, WORKING_TENSORS, SCRATCH
    }  # fmt: skip
    found = Ledger(program, 8)
    assert all(sum(m.by_category[c] for c in CATEGORIES) == m.live_bytes for m in found.timeline)
    assert found.peak.live_bytes < Ledger(schedule("bp", NETWORK, step), 8).peak.live_bytes


def test_a_forward_pass_multiplies_as_often_as_the_layers_say():
    assert inference(NETWORK, Step(2, bits=W4A4)).macs == 2 * sum(x.macs for x in NETWORK.layers)
