"""From the study's formula to a program's peak: by hand on three layers, to the byte everywhere."""

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import NETWORK

from blockwise import models
from blockwise.studies import differences as d
from blockwise.studies.differences import inference_differences, training_differences
from blockwise.studies.terms import inference_claims, training_claims
from devices.memory.paper import paper_figures
from devices.network import Network
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits
from devices.program import categories as cat
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

W4A4 = Bits(4, 4, 8, FIXED_LEVELS, FIXED_LEVELS)

# bp at conv2's weight gradient, see tests/devices/program/test_regimes.py. The study counts 16 + 64 + 64
# activations at 4 bits and 391 parameters and momenta at 32: 72 + 2 x 1,564 = 3,200 bytes.
TRAINING_BY_HAND = {
    d.GRADIENTS: (195 + 8 + 144) * 4,  # linear, norm2, conv2
    d.LEFT_OUT[d.MADE_BACKWARD]: 2 * 256,  # of conv2's and of relu1's output
    "batch norm keeps its normalised input, at 32 bits": 256,
    d.LEFT_OUT["running"]: 16 * 4,
    "activations that are freed before the peak, or made after it": -32,  # relu2's codes
    d.LEFT_OUT["statistics"]: 16,
    d.LEFT_OUT["mask"]: 8,
    "images at 8 bits instead of 4": 8,
}
# Inference at linear, see tests/devices/program/test_inference.py. The study counts one map of 64 at 4 bits,
# which relu2's codes are at 8, and 391 parameters at 4 bits: 32 + 196 bytes, half a byte rounded up.
INFERENCE_BY_HAND = {
    d.ACCUMULATORS: 12,  # the logits
    "activations at 8 bits instead of 4": 32,
    "weights of the first and last layer at 8 bits instead of 4": (36 + 192) // 2,
    "scales and shifts of norms at 32 bits instead of 4": 2 * 8 * 28 // 8,
    d.LEFT_OUT["filter"]: 64,
    "biases at 32 bits instead of 4": 3 * 28 // 8,  # 10.5, cut; the half makes good the study's
}


def of_training(network: Network, step: Step, width: int, alignment: int):
    """The program's peak, the study's total, and the differences between them."""
    ledger = Ledger(schedule("bp", network, step), alignment)
    study = paper_figures(network, bits=width, batch_size=step.batch).training
    return ledger.peak, study, training_differences(network, ledger, bits=width, batch=step.batch)


def of_inference(network: Network, step: Step, width: int, alignment: int):
    ledger = Ledger(inference(network, step), alignment)
    study = paper_figures(network, bits=width).inference
    return ledger.peak, study, inference_differences(network, ledger, bits=width)


def as_dict(lines) -> dict[str, int]:
    assert len({line.words for line in lines}) == len(lines)
    return {line.words: line.bytes for line in lines}


def test_the_differences_of_a_training_step_are_those_counted_by_hand():
    peak, study, lines = of_training(NETWORK, Step(1, bits=W4A4, fused=False), 4, alignment=1)
    assert as_dict(lines) == TRAINING_BY_HAND
    assert (study, peak.live_bytes) == (3_200, 5_420)
    assert list(TRAINING_BY_HAND.values()) == [line.bytes for line in lines]  # largest first


def test_the_differences_of_inference_are_those_counted_by_hand():
    peak, study, lines = of_inference(NETWORK, Step(1, bits=W4A4), 4, alignment=1)
    assert as_dict(lines) == INFERENCE_BY_HAND
    assert (study, peak.live_bytes) == (32 + 196, 516)


runs = {
    "weight": st.sampled_from([*range(1, 9), 32]),
    "edge": st.sampled_from([8, 32]),
    "learned": st.booleans(),
    "fused": st.booleans(),
    "optimizer": st.sampled_from(["sgd", "sgd-momentum", "adam"]),
    "batch": st.integers(1, 9),
    "alignment": st.sampled_from([1, 4, 8, 32]),
}


@settings(max_examples=80)
@given(**runs)
def test_study_and_differences_add_up_to_the_program(
    weight, edge, learned, fused, optimizer, batch, alignment
):
    step = Step(
        batch, optimizer, Bits(weight, weight, edge, *2 * (ONE_STEP if learned else FIXED_LEVELS,)), fused
    )
    for peak, study, lines in (
        of_training(NETWORK, step, weight, alignment),
        of_inference(NETWORK, step, weight, alignment),
    ):
        assert study + sum(line.bytes for line in lines) == peak.live_bytes


@settings(max_examples=30)
@given(bits=st.integers(1, 32), batch=st.integers(1, 9))
def test_the_claims_are_the_terms_of_the_studys_formula(bits, batch):
    def total(claims, *whats: str) -> int:
        return math.ceil(sum(c.bits for key, c in claims.items() if key.what in whats) / 8)

    figures = paper_figures(NETWORK, bits=bits, batch_size=batch)
    training = training_claims(NETWORK, bits, batch)
    assert total(training, "activation") == figures.training_activations
    assert total(training, "weights", "biases") == figures.training_parameters
    assert total(training, "weights state1", "biases state1") == figures.training_optimizer
    parameters, largest = inference_claims(NETWORK, bits)
    assert total(parameters, "weights", "biases") == figures.inference_parameters
    assert math.ceil(largest.bits / 8) == figures.inference_activations


@pytest.fixture(scope="module")
def resnet20() -> Network:
    return models.build("resnet20").describe(blocks="stages", head="gap")


@pytest.mark.parametrize("batch", [1, 128])
@pytest.mark.parametrize(("width", "bits"), [(3, Bits(3, 3, 8)), (32, Bits(32, 32, 32))])
def test_each_line_of_resnet20_is_the_sum_of_the_tensors_that_it_names(resnet20, width, bits, batch):
    ledger = Ledger(schedule("bp", resnet20, Step(batch, bits=bits, fused=False)), 1)
    lines = as_dict(training_differences(resnet20, ledger, bits=width, batch=batch))
    assert not [words for words in lines if ": " in words]  # each tensor has words of its own
    alive: dict[str, int] = defaultdict(int)  # category and last part of the name -> bytes
    for tensor in ledger.tensors_at(ledger.peak_index):
        alive[f"{tensor.category} {tensor.name.rpartition('.')[2]}"] += tensor.bytes
    saved, working = cat.SAVED_ACTIVATIONS, cat.WORKING_TENSORS
    assert lines[d.GRADIENTS] == alive[f"{cat.WEIGHT_GRADIENTS} gradient"]
    assert lines[d.LEFT_OUT[d.MADE_BACKWARD]] == alive[f"{working} gradient"]
    assert lines[d.LEFT_OUT["running"]] == 2 * 688 * 4  # mean and variance of 688 channels
    assert lines[d.LEFT_OUT["statistics"]] == alive[f"{saved} statistics"]
    assert lines.get(d.LEFT_OUT["mask"], 0) == alive.get(f"{saved} mask", 0)
    assert lines[f"images at 8 bits instead of {width}"] == batch * 3_072 * (8 - width) // 8
    normalised = lines["batch norm keeps its normalised input, at 32 bits"]
    counted = alive[f"{saved} out"] - normalised  # what is left are the study's activations
    freed = lines["activations that are freed before the peak, or made after it"]
    assert counted == batch * (191_488 - 3_072) * width // 8 + freed
