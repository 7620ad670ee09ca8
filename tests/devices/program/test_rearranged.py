"""Maps that are read in parts or in another order, and trained factors: what a step holds for them."""

import math

import own_modules as own
import pytest

import devices
from blockwise.models import from_module
from devices.network.bits import Bits
from devices.network.partial import choice
from devices.program.categories import SAVED_ACTIVATIONS
from devices.program.inference import inference
from devices.program.regimes import Step, schedule

SHAPE = (1, 8, 8)
BATCH = 2
IMAGES, MAP, SIGNAL = BATCH * 64, BATCH * 8 * 4 * 4, BATCH * 8 * 8
BY_HAND = {
    # The stem's map (normed in place), that map normed, before and behind the GELU (twice as many channels),
    # what the factors multiply; 1/std of 16 places; the last norm with its own, and probabilities.
    own.NormsLast: IMAGES + 3 * MAP + 2 * 2 * MAP + BATCH * 16 + BATCH * 8 + BATCH + BATCH * 10,
    # Scaled images, the stem's map before and behind its ReLU, 1/std, half a map twice, 1/std; the mean.
    own.Shuffled: IMAGES + 2 * MAP + 8 + 2 * MAP // 2 + 4 + BATCH * 8 + BATCH * 10,
    # 16 channels of 10 values, of which the gate reads 8; the gate, the product, 16 channels before and
    # behind the hard swish, the other gate; the mean.
    own.Gated: IMAGES + BATCH * 16 * 10 + 2 * SIGNAL + 2 * 2 * SIGNAL + SIGNAL + BATCH * 8 + BATCH * 10,
}
REARRANGES = ("slice", "permute", "view", "cat")


def step_of(kind: type, **options: object) -> devices.Plan:
    chain = from_module(kind(), SHAPE)
    return devices.plan(
        chain, "stm32", regime="bp", batch_size=BATCH, blocks="1", head="gap", weight_bits=32,
        activation_bits=32, **options,
    )  # fmt: skip


def test_parts_and_shuffles_take_no_memory_but_the_gradients_of_what_they_read():
    plan = step_of(own.Shuffled).schedule
    moved = [layer for layer in plan.layers.values() if layer.kind in REARRANGES]
    assert len([layer for layer in moved if layer.kind == "slice"]) == 2
    assert not [name for layer in moved for name in plan.tensors if name == f"{layer.name}.out"]
    (halved,) = {layer.inputs[0] for layer in moved if layer.kind == "slice"}
    (whole,) = (t for name, t in plan.tensors.items() if name == f"{halved}.gradient")
    assert math.prod(whole.shape) == BATCH * 8 * 4 * 4  # of the stem's 8 channels, to which both halves add
    adding = [x for x in plan.operations if whole.name in x.adds or whole.name in x.writes]
    assert [plan.layers[x.layer].kind for x in adding][:2] == ["slice", "slice"]


def test_a_trained_factor_keeps_the_map_that_it_multiplies_and_a_frozen_one_nothing():
    chain = from_module(own.NormsLast(), SHAPE)
    network = chain.describe(blocks="1", head="gap")
    step = Step(BATCH)
    (affine,) = (layer for layer in network.layers if layer.kind == "affine")
    for spec, reads in (
        ("all", {"gradient", "saved input", "bias"}),
        ("stem.stem", {"gradient", "bias"}),
    ):
        plan = schedule("bp", choice(spec).of(network), step)
        (back,) = (x for x in plan.operations if x.layer == affine.name and x.phase == "backward")
        assert {role for role, _ in back.operands} == reads
        makes = {role for role, _ in back.results}
        assert ("bias gradient" in makes) is (spec == "all")
    (first,) = (layer for layer in network.layers if layer.kind == "channel_norm")
    assert first.groups == 16  # a mean for each of 4x4 places


def test_sums_that_stand_for_many_places_are_made_once_at_rest():
    network = from_module(own.Broadcast(), SHAPE).describe(blocks="1", head="gap")
    program = inference(network, Step(1, "sgd", Bits(8, 8, 8)))
    (point,) = (layer for layer in network.layers if layer.name.endswith("point"))
    (spread,) = (x for x in program.operations if any(name == f"{point.name}.out" for _, name in x.results))
    assert spread.macs == point.macs
    assert sum(x.macs for x in program.operations) == sum(layer.macs for layer in network.layers)


@pytest.mark.parametrize("kind", [own.NormsLast, own.Shuffled, own.Gated])
def test_saved_activations_of_floats_are_those_counted_by_hand(kind):
    saved = sum(
        math.prod(t.shape) for t in step_of(kind).schedule.tensors.values() if t.category == SAVED_ACTIVATIONS
    )
    assert saved == BY_HAND[kind]
