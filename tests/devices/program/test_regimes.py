"""Peaks of a three-layer network, counted by hand, and what holds for every regime."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import NETWORK

import devices
from devices.errors import InputError
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits
from devices.program.categories import CATEGORIES, OPTIMIZER_STATE, PACKED_WEIGHTS, WEIGHT_GRADIENTS
from devices.program.ledger import Ledger
from devices.program.regimes import REGIMES, Step, schedule, update_of
from devices.program.state import OPTIMIZER_STATES

# 4-bit weights and activations, 8 bits in the first and the last layer, fixed quantizer levels.
BITS = Bits(4, 4, 8, FIXED_LEVELS, FIXED_LEVELS)

# Parameters: conv1 36, norm1 8, conv2 144, norm2 8, linear 192 + 3 = 391; running statistics 16.
# Latent weights 391 x 4 = 1,564; momentum the same; statistics 16 x 4 = 64.
STATIC = 1_564 + 1_564 + 64
# A map is 4x4x4 = 64 elements: 256 bytes at 32 bits, 64 at 8, 32 at 4, 8 at 1; an image is 16 bytes.
# 1/std of a norm: 4 channels x 4 bytes = 16, whatever the batch.

# bp, at conv2's weight gradient. Gradients wait for the end: linear 195, norm2 8, conv2 144 = 347.
# Per image: image 16, normalised map of norm1 256, mask of relu1 8, codes of relu1 32, gradients of
# conv2's and of relu1's output 2 x 256.
BP = (STATIC + 347 * 4 + 16, 16 + 256 + 8 + 32 + 512)

# Under a fused update each filter takes its step as soon as its gradient is there: of linear's weights the
# gradient of one filter, 64 values, is alive at a time, with those of its 3 biases.
ONE_FILTER = (64 + 3) * 4

# bp-fused, at linear's weight gradient, the only one alive; both norms' 1/std.
# Per image: image 16, norm1's map 256, mask 8, codes of relu1 32, norm2's map 256, mask 8, codes of
# relu2 64, gradients of the logits 12 and of relu2's output 256.
FUSED = (STATIC + ONE_FILTER + 2 * 16, 16 + 256 + 8 + 32 + 256 + 8 + 64 + 12 + 256)

# bp-checkpoint, at linear's weight gradient; block A is not recomputed yet.
# Per image: image 16, codes of relu1 32, normalised map of norm2 256, mask of relu2 8, its 8-bit
# codes 64, gradient of the logits 3 x 4, gradient of relu2's output 256.
CHECKPOINT = (STATIC + ONE_FILTER + 16, 16 + 32 + 256 + 8 + 64 + 12 + 256)

# local, at the same operation. The head of A adds 15 parameters and their momentum; the images are
# gone, for nothing is recomputed.
LOCAL = (STATIC + 2 * 15 * 4 + ONE_FILTER + 16, 32 + 256 + 8 + 64 + 12 + 256)

# local-resident, block B at the same operation. Of A only codes (36 at 8 bits) and the folded norm
# (8 x 4) remain; B has 347 parameters with momentum and 8 running statistics.
RESIDENT = (36 + 32 + 2 * 347 * 4 + 32 + ONE_FILTER + 16, 32 + 256 + 8 + 64 + 12 + 256)

# local-paged, at the same operation: of A there is nothing in RAM at all.
PAGED = (RESIDENT[0] - 36 - 32, RESIDENT[1])

# bp-best keeps only the images and the codes of relu1 and relu2 (16 + 32 + 64), and computes the two
# convolutions again in turn. At linear's weight gradient these are alive with the gradients of the
# logits 12 and of relu2's output 256; at conv2's (a filter of 36 values) the image, the codes of relu1,
# and the gradients of conv2's and relu1's outputs; when relu2 is made again: image 16, codes of relu1 32,
# gradient of relu2's output 256, norm2's map 256, mask 8 and codes 64.
BEST_LINEAR = (STATIC + ONE_FILTER, 16 + 32 + 64 + 12 + 256)
BEST_CONV2 = (STATIC + 36 * 4, 16 + 32 + 256 + 256)
BEST_AGAIN = (STATIC + 16, 16 + 32 + 256 + 256 + 8 + 64)

# zo: latent weights without momentum, statistics, the difference of two losses 4. A pass holds what inference
# does. At conv2: 36 codes of a filter; per image the image 16 and its label 1, read again by the second pass,
# codes of relu1 32 and conv2's sums 256. At relu2: its 8-bit codes 64 in place of those of relu1 and of the
# filter.
ZO = 1_564 + 64 + 4
ZO_CONV2 = (ZO + 36, 16 + 1 + 32 + 256)
ZO_RELU2 = (ZO, 16 + 1 + 256 + 64)

# zo-hybrid: block A perturbed, B goes back as in local, whose state is B's alone: momentum of 347 parameters.
# At linear's weight gradient the images and labels are gone, for it is in the last pass.
HYBRID = (ZO + 347 * 4 + ONE_FILTER + 16, 32 + 256 + 8 + 64 + 12 + 256)

BY_HAND = {
    "zo-hybrid": HYBRID,
    "bp": BP,
    "bp-fused": FUSED,
    "bp-checkpoint": CHECKPOINT,
    "local": LOCAL,
    "local-paged": PAGED,
    "local-resident": RESIDENT,
}
AT = dict.fromkeys(BY_HAND, "linear backward (weight)") | {"bp": "conv2 backward (weight)"}


def ledger(regime: str, batch: int, *, bits: Bits = BITS, optimizer: str = "sgd-momentum", **step) -> Ledger:
    fused = step.pop("fused", update_of(regime) == "fused")
    return Ledger(schedule(regime, NETWORK, Step(batch, optimizer, bits, fused, **step)), alignment=1)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("regime", BY_HAND)
def test_the_peak_equals_the_sum_made_by_hand(regime, batch):
    fixed, per_image = BY_HAND[regime]
    found = ledger(regime, batch)
    assert found.peak.live_bytes == fixed + per_image * batch
    assert found.peak.operation.name == AT[regime]


def test_the_hand_made_sums_are_the_numbers_they_were():
    at_1 = [3_932, 5_420, 4_400, 4_120, 4_224, 3_720, 3_788]
    at_4 = [5_816, 7_892, 7_124, 6_052, 6_108, 5_604, 5_672]
    assert [fixed + image for fixed, image in BY_HAND.values()] == at_1
    assert [fixed + 4 * image for fixed, image in BY_HAND.values()] == at_4


@pytest.mark.parametrize("batch", [1, 4])
def test_the_best_backpropagation_equals_the_largest_of_three_sums_made_by_hand(batch):
    moments = (fixed + image * batch for fixed, image in (BEST_LINEAR, BEST_CONV2, BEST_AGAIN))
    assert ledger("bp-best", batch).peak.live_bytes == max(moments)


@pytest.mark.parametrize("batch", [1, 4])
def test_zeroth_order_equals_the_larger_of_two_sums_made_by_hand(batch):
    found = ledger("zo", batch).peak
    assert found.live_bytes == max(fixed + image * batch for fixed, image in (ZO_CONV2, ZO_RELU2))
    assert found.live_bytes == {1: 1_973, 4: 2_980}[batch]
    assert found.by_category[OPTIMIZER_STATE] == 0 and "saved activations" in found.by_category
    assert found.by_category["saved activations"] == 0


def test_every_direction_adds_a_difference_of_losses_and_two_forward_passes():
    one, three = (ledger("zo", 4, perturbations=n) for n in (1, 3))
    assert three.peak_bytes - one.peak_bytes == 2 * 4
    forward = 4 * (36 * 16 + 144 * 16 + 192)  # conv1, conv2 and linear, 4 images
    assert [found.schedule.macs for found in (one, three)] == [2 * forward, 6 * forward]
    assert ledger("zo-hybrid", 4, perturbations=3).schedule.macs == 6 * forward + 4 * (144 * 16 + 2 * 192)


@pytest.mark.parametrize("batch", [2, 4, 40])
def test_micro_batches_need_all_gradients_and_the_activations_of_one_image(batch):
    fixed, image = BEST_AGAIN
    assert ledger("bp-micro", batch).peak.live_bytes == fixed + 391 * 4 + image


def test_a_single_micro_batch_is_the_best_backpropagation():
    assert ledger("bp-micro", 1).peak == ledger("bp-best", 1).peak
    assert ledger("bp-micro", 4, micro_batch=4).peak == ledger("bp-best", 4).peak


def test_every_regime_has_a_sum_made_by_hand():
    assert {*BY_HAND, "bp-best", "bp-micro", "zo"} == set(REGIMES)


def test_a_trained_step_size_adds_its_value_and_momentum_for_each_quantizer():
    # conv1, relu1, conv2, relu2 and linear have one step of 4 bytes each, with its momentum; linear's
    # also has its gradient while the peak lasts. The mask of relu2, 8, is made again instead.
    peaks = (ledger("bp-checkpoint", 1, bits=Bits(4, 4, 8, q, q)).peak for q in (FIXED_LEVELS, ONE_STEP))
    plain, learned = (peak.live_bytes for peak in peaks)
    assert learned - plain == 5 * 8 + 4 - 8


def test_gradients_that_wait_for_the_end_add_up_to_all_parameters():
    moments = ledger("bp", 1, fused=False).timeline
    assert max(m.by_category[WEIGHT_GRADIENTS] for m in moments) == 391 * 4
    fused = ledger("bp", 1, fused=True).timeline
    assert max(m.by_category[WEIGHT_GRADIENTS] for m in fused) == ONE_FILTER


def test_local_learning_with_one_update_at_the_end_keeps_the_gradients_of_all_blocks_and_heads():
    moments = ledger("local", 1, fused=False).timeline
    assert max(m.by_category[WEIGHT_GRADIENTS] for m in moments) == (391 + 15) * 4


@pytest.mark.parametrize(("optimizer", "states"), OPTIMIZER_STATES.items())
def test_optimizer_state_is_one_float_per_parameter_and_state(optimizer, states):
    assert ledger("bp", 1, optimizer=optimizer).peak.by_category[OPTIMIZER_STATE] == 391 * 4 * states


def test_after_training_every_block_is_packed_and_nothing_else_remains():
    end = ledger("local-resident", 4).timeline[-1]
    # conv1 36 and linear 192 bytes at 8 bits, conv2 72 at 4 bits, linear's bias 12, two folded norms 64
    assert end.by_category[PACKED_WEIGHTS] == 36 + 192 + 72 + 12
    assert end.live_bytes == 36 + 192 + 72 + 12 + 64


def test_no_gradient_of_an_activation_leaves_a_block_of_local_learning():
    operations = ledger("local", 1).schedule.operations
    of_b = [op for op in operations if op.block == "B" and op.phase == "backward"]
    assert of_b
    assert not any("relu1.gradient" in op.writes for op in of_b)


@pytest.mark.parametrize("bits", [BITS, Bits(32, 32, 32)])
def test_a_step_of_the_last_block_alone_has_its_own_work_behind_a_forward_pass_of_the_others(bits):
    resident, local = (schedule(name, NETWORK, Step(4, bits=bits)) for name in ("local-resident", "local"))
    *early, last = NETWORK.blocks
    ahead = 4 * sum(layer.macs for block in early for layer in block.layers)
    owners = (last.name, f"{last.name}.head")
    assert resident.macs_of_last == ahead + sum(o.macs for o in local.operations if o.block in owners)
    assert local.macs_of_last == local.macs


def test_recomputation_costs_exactly_one_more_forward_pass_of_all_but_the_last_block():
    extra = ledger("bp-checkpoint", 4).schedule.macs - ledger("bp", 4).schedule.macs
    assert extra == 4 * 36 * 16  # conv1: 36 weights at 16 positions, 4 images


runs = {
    "regime": st.sampled_from(sorted(REGIMES)),
    "batch": st.integers(1, 40),
    "optimizer": st.sampled_from(sorted(OPTIMIZER_STATES)),
    "weight": st.sampled_from([*range(1, 9), 32]),
    "activation": st.sampled_from([*range(1, 9), 32]),
    "edge": st.sampled_from([8, 32]),
    "learned": st.booleans(),
    "fused": st.booleans(),
}


@settings(max_examples=60)
@given(**runs)
def test_categories_add_up_at_every_operation_and_the_peak_is_their_maximum(
    regime, batch, optimizer, weight, activation, edge, learned, fused
):
    bits = Bits(weight, activation, edge, *2 * (ONE_STEP if learned else FIXED_LEVELS,))
    found = Ledger(schedule(regime, NETWORK, Step(batch, optimizer, bits, fused)), alignment=8)
    for index, moment in enumerate(found.timeline):
        assert sum(moment.by_category.values()) == moment.live_bytes
        assert set(moment.by_category) == set(CATEGORIES)
        assert sum(t.aligned_bytes(8) for t in found.tensors_at(index)) == moment.live_bytes
    assert found.peak.live_bytes == max(m.live_bytes for m in found.timeline)


@settings(max_examples=40)
@given(**runs)
def test_a_larger_batch_never_needs_less(regime, batch, optimizer, weight, activation, edge, learned, fused):
    bits = Bits(weight, activation, edge, *2 * (ONE_STEP if learned else FIXED_LEVELS,))
    peaks = [
        Ledger(schedule(regime, NETWORK, Step(b, optimizer, bits, fused)), 8).peak.live_bytes
        for b in (batch, batch + 1)
    ]
    assert peaks[0] < peaks[1] or (regime == "bp-micro" and peaks[0] == peaks[1])


@settings(max_examples=40)
@given(**runs)
def test_a_fused_update_never_needs_more(regime, batch, optimizer, weight, activation, edge, learned, fused):
    bits = Bits(weight, activation, edge, *2 * (ONE_STEP if learned else FIXED_LEVELS,))
    end, early = (
        Ledger(schedule(regime, NETWORK, Step(batch, optimizer, bits, f)), 8).peak.live_bytes
        for f in (False, True)
    )
    assert early <= end


def test_an_unknown_regime_names_the_nearest_match():
    with pytest.raises(InputError, match="did you mean 'local'"):
        schedule("lokal", NETWORK, Step())


def test_a_plan_of_a_network_reads_the_peak_off_its_timeline():
    plan = devices.plan(NETWORK, "stm32", regime="local", batch_size=4)
    assert plan.peak_bytes == max(moment.live_bytes for moment in plan.timeline)
    assert sum(plan.by_category.values()) == plan.peak_bytes
    assert plan.fits
    assert set(plan.peak_by_block) == {"A", "B"}
    assert max(plan.peak_by_block.values()) == plan.peak_bytes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch size: got 0"),
        ({"batch_size": 2.5}, "batch size: got 2.5"),
        ({"update": "never"}, "update: got 'never'"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"weight_bits": 9}, "weight bits: got 9"),
        ({"activation_bits": 0}, "activation bits: got 0"),
        ({"regime": "pb"}, "regime"),
    ],
)
def test_a_plan_refuses_what_cannot_be(wrong, message):
    with pytest.raises(InputError, match=message):
        devices.plan(NETWORK, "stm32", **wrong)
