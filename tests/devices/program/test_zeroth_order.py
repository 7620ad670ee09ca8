"""Zeroth order holds what inference holds and a few bytes that have names."""

import pytest

from blockwise import models
from devices.errors import InputError
from devices.network import Network
from devices.network.bits import ONE_STEP, Bits
from devices.program.accountings import PYTORCH
from devices.program.categories import OPTIMIZER_STATE, SAVED_ACTIVATIONS, WEIGHT_GRADIENTS
from devices.program.inference import float_inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule

WIDTHS = {"float": Bits(32, 32, 32), "4 bits": Bits(4, 4, 8, ONE_STEP, ONE_STEP)}
IMAGE, LABEL, DIFFERENCE = 64, 1, 4


def network(model: str, norm: str, blocks: str = "2") -> Network:
    return models.build(model, (1, 8, 8), 10, 8, norm).describe(blocks=blocks, head="gap")


@pytest.mark.slow
@pytest.mark.parametrize("bits", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("model", "norm"), [("plain4", "none"), ("resnet20", "frozen"), ("resnet20", "group")]
)
def test_the_peak_is_that_of_inference_of_one_image_and_of_what_both_passes_read(model, norm, batch, bits):
    """At both peaks the image that passes is read no more; a step holds the batch for its second pass."""
    step = Step(batch, "adam", bits)
    training = Ledger(schedule("zo", network(model, norm), step), 1)
    running = Ledger(float_inference(network(model, norm), step, packed=False), 1)
    assert training.peak_bytes == running.peak_bytes + batch * (IMAGE + LABEL) + DIFFERENCE
    for category, most in ((SAVED_ACTIVATIONS, 0), (OPTIMIZER_STATE, 0), (WEIGHT_GRADIENTS, DIFFERENCE)):
        assert max(moment.by_category[category] for moment in training.timeline) == most


@pytest.mark.parametrize("batch", [1, 2])
def test_images_are_held_to_the_end_of_the_last_pass_that_reads_them(batch):
    """In a loop over several they all stay until the last has passed; one goes as soon as it is read."""
    found = schedule("zo", network("plain4", "none"), Step(batch, "sgd", WIDTHS["4 bits"]))
    last = max(i for i, operation in enumerate(found.operations) if "batch.images" in operation.reads)
    assert found.lifetimes["batch.images"][1] == (last if batch == 1 else found.loops[-1].last) > 0
    assert [loop.passes for loop in found.loops] == ([] if batch == 1 else [batch, batch])


def test_a_norm_by_statistics_takes_the_batch_through_at_once():
    whole, alone = (
        [Ledger(schedule("zo", network("cnn", norm), Step(b)), 1).peak_bytes for b in (1, 2, 3)]
        for norm in ("batch", "frozen")
    )
    assert alone[2] - alone[1] == alone[1] - alone[0] == IMAGE + LABEL
    assert whole[2] - whole[1] > 10 * IMAGE


def test_a_hybrid_holds_what_the_blocks_behind_the_front_save_and_no_state_of_the_front():
    program = schedule("zo-hybrid", network("plain4", "none", "layers"), Step(4, backprop_blocks=2))
    last = {layer.name for block in network("plain4", "none", "layers").blocks[-2:] for layer in block.layers}
    state = [t for t in program.tensors.values() if t.category == OPTIMIZER_STATE]
    assert state and all(any(t.name.startswith(f"{name}.") for name in last) for t in state)
    back = [operation for operation in program.operations if operation.phase == "backward"]
    assert {operation.layer for operation in back if operation.layer in program.layers} <= last | {
        layer.name for layer in network("plain4", "none", "layers").blocks[-1].head
    }


def test_a_hybrid_without_front_is_backpropagation():
    for blocks, asked in (("1", 1), ("layers", 99)):
        step = Step(4, backprop_blocks=asked)
        programs = [schedule(r, network("plain4", "none", blocks), step) for r in ("zo-hybrid", "bp")]
        assert programs[0] == programs[1]


@pytest.mark.parametrize("twice", [False, True], ids=["buffered", "twice"])
def test_on_integers_more_images_add_themselves_and_their_labels_alone(twice):
    plain = network("plain4", "none")
    peaks = [Ledger(schedule("niti-zo", plain, Step(b, twice=twice)), 1).peak_bytes for b in (1, 2, 16)]
    assert peaks[1] - peaks[0] == IMAGE + LABEL and peaks[2] - peaks[0] == 15 * (IMAGE + LABEL)


def test_the_sums_of_all_passes_may_be_made_twice_to_fit_a_board():
    plain, peaks = network("plain4", "none"), {}
    for twice in (False, True):
        peaks[twice] = Ledger(schedule("niti-zo", plain, Step(4, twice=twice))).peak_bytes
    limit = sum(peaks.values()) // 2
    found = schedule("niti-zo", plain, Step(4, by_tensor=True, limit_bytes=limit))
    assert Ledger(found).peak_bytes <= limit
    again = [operation.layer for operation in found.operations if operation.action == "largest sum"]
    assert again and again.count(again[0]) == 2  # in each of the passes


def test_pytorchs_accounting_is_refused_in_one_line():
    with pytest.raises(InputError, match="zeroth-order regimes: got the pytorch accounting"):
        schedule("zo", network("plain4", "none"), Step(4, table=PYTORCH))


def test_a_loss_that_is_only_told_has_no_error():
    """On integers its error would be a tensor of its own; of a hybrid the last pass alone has one."""
    for regime, count in (("niti-zo", 0), ("niti-zo-hybrid", 1)):
        plan = schedule(regime, network("plain4", "none"), Step(2))
        losses = [o for o in plan.operations if o.action == "forward" and o.layer.endswith("head.loss")]
        errors = [name for o in losses for role, name in o.results if role == "output"]
        assert len(losses) == 2 and len(errors) == count
