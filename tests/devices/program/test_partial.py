"""Steps that train a part of a network: peaks counted by hand, and what they leave out."""

from dataclasses import replace

import pytest
from tiny import NETWORK

import devices
from devices.boards.profile import load
from devices.errors import InputError
from devices.network import Layer
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits
from devices.network.ops import View
from devices.network.partial import choice
from devices.planning import part_of
from devices.program.categories import LATENT_WEIGHTS, PACKED_WEIGHTS
from devices.program.ledger import Ledger
from devices.program.regimes import INTEGER_REGIMES, REGIMES, Step, schedule, update_of
from devices.program.schedule import Schedule

GOING_BACK = [name for name, regime in REGIMES.items() if not regime.perturbs]

# 4-bit weights and activations, 8 bits in the first and the last layer, fixed quantizer levels.
BITS = Bits(4, 4, 8, FIXED_LEVELS, FIXED_LEVELS)

# last:1 trains block B. Of A there are conv1's codes (36 at 8 bits) and norm1 as a scale and a shift (8 x 4).
FROZEN_A = 36 + 32
# B has 144 + 8 + 192 + 3 = 347 parameters with momentum, and 8 running statistics.
TRAINED_B = 2 * 347 * 4 + 32

# bp, one image, at conv2's weight gradient: all gradients (347 x 4); the codes of relu1 (32), and the
# gradient of conv2's output (256). Nothing goes back to relu1.
CONV2 = (TRAINED_B + 347 * 4, 32 + 256)
# At linear's: the gradients of linear (195 x 4) and norm2's 1/std (16); codes of relu1 32, norm2's map 256,
# mask 8, codes of relu2 64, gradients of the logits 12 and of relu2's output 256.
LINEAR = (TRAINED_B + 195 * 4 + 16, 32 + 256 + 8 + 64 + 12 + 256)
# bp-fused, there: of linear's weights one filter's gradient (64 x 4) beside those of its biases (12).
FUSED = (TRAINED_B + 64 * 4 + 12 + 16, LINEAR[1])

# head trains linear alone. Frozen are A, conv2's codes (144 at 4 bits) and norm2 as a scale and a shift.
FROZEN_BODY = FROZEN_A + 72 + 32
# 195 parameters with momentum and gradient; the codes of relu2 64, gradient of the logits 12.
HEAD = (2 * 195 * 4 + 195 * 4, 64 + 12)

# bias trains the pairs of norm1 and norm2 (8 each) and linear's 3 biases: 19 with momentum, and 16 running
# statistics. Codes are conv1's 36, conv2's 72 and linear's 192.
BIAS = 36 + 72 + 192 + 2 * 19 * 4 + 64
# Nothing goes back through norm1: of it only the map is kept. At its backward pass: gradients of all 19;
# its map 256 and the gradient of relu1's output 256.
NORM1 = (BIAS + 19 * 4, 256 + 256)
# When relu2 has made its codes: norm2's 1/std (16), and norm1's map 256, mask 8, norm2's map 256, mask 8,
# codes of relu2 64.
RELU2 = (BIAS + 16, 256 + 8 + 256 + 8 + 64)
# At linear's input gradient: gradients of its 3 biases; one filter of it unpacked (64); norm2's 1/std (16),
# map and mask of norm1 264, of norm2 264, gradients of the logits 12 and of relu2's output 256.
LINEAR_INPUT = (BIAS + 64 + 16, 264 + 264 + 12 + 256)


# sparse: half of conv2's input channels (2 of 4) and linear's 3 biases: 75 with momentum. Frozen are A,
# the other half of conv2 (72 at 4 bits), norm2 as a scale and a shift, and linear's codes (192).
FROZEN_SPARSE = FROZEN_A + 36 + 32 + 192
TRAINED_SPARSE = 2 * 75 * 4
# At conv2's weight gradient: all gradients; of relu1's codes the 2 channels (16), conv2's gradient 256.
SHARE = (TRAINED_SPARSE + 75 * 4, 16 + 256)
# When relu2 has made its codes: those 16, its sums 256, mask 8 and codes 64, the label.
RELU2_SPARSE = (TRAINED_SPARSE, 16 + 256 + 8 + 64 + 1)

LIKE_BITS = {"weight_bits": 4, "activation_bits": 4, "weights": FIXED_LEVELS, "activations": FIXED_LEVELS}


def _plain(layer: Layer) -> Layer:
    return replace(layer, op=View()) if layer.op.normalises else layer


PLAIN = replace(  # without norms
    NETWORK, blocks=tuple(replace(b, layers=tuple(map(_plain, b.layers))) for b in NETWORK.blocks)
)


def made(regime: str, spec: str, batch: int = 1, bits: Bits = BITS, **step) -> Schedule:
    fused = update_of(regime) == "fused"
    network = choice(spec).of(NETWORK)
    return schedule(regime, network, Step(batch, "sgd-momentum", bits, fused, **step))


def peak(*args, **step) -> int:
    return Ledger(made(*args, **step), alignment=1).peak_bytes


def at(moment: tuple[int, int], batch: int) -> int:
    return moment[0] + moment[1] * batch


@pytest.mark.parametrize(("frozen", "there"), [("ram", FROZEN_A), ("flash", 0)])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_peak_of_the_last_block_is_the_sum_made_by_hand(batch, frozen, there):
    found = peak("bp", "last:1", batch, frozen=frozen)
    assert found == there + max(at(CONV2, batch), at(LINEAR, batch))
    assert peak("bp-fused", "last:1", batch, frozen=frozen) == there + at(FUSED, batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_peak_of_the_classifier_alone_is_the_sum_made_by_hand(batch):
    assert peak("bp", "head", batch) == FROZEN_BODY + at(HEAD, batch)
    assert peak("bp", "head", batch, frozen="flash") == at(HEAD, batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_peak_of_biases_is_the_largest_of_the_sums_made_by_hand(batch):
    assert peak("bp", "bias", batch) == max(at(x, batch) for x in (NORM1, RELU2, LINEAR_INPUT))


@pytest.mark.parametrize("batch", [1, 4])
def test_the_peak_of_a_share_of_channels_is_the_larger_of_the_sums_made_by_hand(batch, tmp_path):
    path = tmp_path / "half.toml"
    path.write_text("biases = 1\nweights = {conv2 = 0.5}\n")
    largest = max(at(SHARE, batch), at(RELU2_SPARSE, batch))
    assert peak("bp", f"sparse:{path}", batch) == FROZEN_SPARSE + largest
    assert peak("bp", f"sparse:{path}", batch, frozen="flash") == largest


def test_what_lies_in_flash_is_what_would_lie_in_ram():
    in_ram, in_flash = (made("bp", "head", frozen=frozen) for frozen in ("ram", "flash"))
    assert in_flash.mapped_bytes == FROZEN_BODY
    assert in_ram.mapped_bytes == 0
    assert in_ram.tensors.keys() == in_flash.tensors.keys()
    assert not any(in_flash.tensors[name].mapped for name in in_flash.lifetimes)


@pytest.mark.parametrize("spec", ["last:1", "head", "conv2", "norm2,linear"])
@pytest.mark.parametrize("regime", GOING_BACK)
def test_no_operation_goes_back_beyond_the_first_layer_that_is_trained(regime, spec):
    found = made(regime, spec, batch=2, bits=Bits(4, 4, 8, ONE_STEP, ONE_STEP))
    network = choice(spec).of(NETWORK)
    names = [layer.name for layer in network.layers]
    first = next(i for i, layer in enumerate(network.layers) if layer.learns)
    back = [o for o in found.operations if o.phase in ("backward", "update")]
    assert any(names[first] in o.subject for o in back)
    for early in names[:first]:
        assert not any(o.subject.startswith((f"{early} ", f"{early}.")) or o.layer == early for o in back)
    latent = {n.split(".")[0] for n, t in found.tensors.items() if t.category == LATENT_WEIGHTS}
    assert latent - {"classify"} == {layer.name for layer in network.layers if layer.learns}


@pytest.mark.parametrize("regime", GOING_BACK)
def test_a_block_behind_the_last_that_is_trained_does_not_run_in_local_learning(regime):
    found = made(regime, "blocks:1", batch=2)
    runs = {o.layer for o in found.operations if o.phase in ("forward", "recompute", "backward")}
    assert ("conv2" in runs) == (not REGIMES[regime].heads)
    packed = sum(t.bytes for t in found.tensors.values() if t.category == PACKED_WEIGHTS and t.resident)
    assert packed == 72 + 192 + 12  # conv2 and linear stay


@pytest.mark.parametrize(
    "regime", [n for n, r in INTEGER_REGIMES.items() if not (r.perturbs or n.startswith("nitro"))]
)
def test_on_integers_frozen_weights_are_there_and_take_no_step(regime):
    network = choice("head").of(PLAIN)
    found = schedule(regime, network, Step(2, frozen="flash"))
    assert [t.mapped for n, t in found.tensors.items() if n in ("conv1.weight", "conv2.weight")] == [True] * 2
    assert {o.layer or o.subject for o in found.operations if o.phase in ("backward", "update")} == {
        "loss_b", "linear.logits", "linear", "linear.weight",
    }  # fmt: skip


def test_zeroth_order_moves_what_is_trained_and_a_hybrid_without_that_in_front_is_backpropagation():
    moved = {o.subject for o in made("zo", "bias").operations if o.action == "perturb forth"}
    assert moved == {"norm1.bias", "norm2.bias", "linear.bias"}
    network, step = choice("head").of(NETWORK), Step(2)
    assert schedule("zo-hybrid", network, step) == schedule("bp", network, step)


def test_what_is_chosen_by_itself_fits_and_leaves_no_room_for_more(tmp_path):
    bits = Bits(4, 4, 8)
    step = Step(8, "sgd-momentum", bits, alignment=1)
    whole = Ledger(schedule("bp-fused", NETWORK, step), 1).peak_bytes
    weights = []
    for limit in range(3_000, whole + 1_000, 500):
        found = part_of(NETWORK, choice("sparse:auto"), replace(step, limit_bytes=limit))
        assert Ledger(schedule("bp-fused", found, step), 1).peak_bytes <= limit
        weights.append(sum(layer.trained_weights for layer in found.layers))
    assert weights == sorted(weights)
    assert weights[0] == 192
    assert weights[-1] == 36 + 144 + 192
    assert len(set(weights)) > 3
    with pytest.raises(InputError, match="sparse"):
        part_of(NETWORK, choice("sparse:auto"), replace(step, limit_bytes=500))


def test_shares_are_refused_where_codes_follow_from_all_weights_of_a_layer(tmp_path):
    path = tmp_path / "half.json"
    path.write_text('{"weights": {"conv2": 0.5}}')
    devices.plan(NETWORK, "stm32", train=f"sparse:{path}")
    with pytest.raises(InputError, match="codes each weight by itself"):
        devices.plan(NETWORK, "stm32", train=f"sparse:{path}", weights=FIXED_LEVELS)


@pytest.mark.parametrize("regime", ["local-resident", "zo"])
def test_of_a_share_the_rest_is_packed_once_and_beside_the_share_in_every_form(regime, tmp_path):
    """Of conv2's 4 x 4 x 9 weights the first two input channels: 72 floats or codes beside 72 codes."""
    (path := tmp_path / "half.json").write_text('{"weights": {"conv2": 0.5}}')
    found = devices.plan(NETWORK, "stm32", train=f"sparse:{path}", regime=regime, weight_bits=4).schedule
    sizes = {t.name: (t.elements, t.bits) for t in found.tensors.values() if t.name.startswith("conv2.")}
    packed = {"conv2.codes.before": (72, 4), "conv2.codes.after": (72, 4)}
    assert sizes["conv2.weight"] == (72, 32) and sizes["conv2.codes.frozen"] == (72, 4)
    assert (packed.items() <= sizes.items()) == (regime == "local-resident")


def test_a_gradient_of_a_share_costs_that_share_of_the_multiply_accumulates(tmp_path):
    """conv2 has 4 x 4 x 9 weights at 4 x 4 places: 2,304 an image, of half of its inputs 1,152."""
    (path := tmp_path / "half.json").write_text('{"weights": {"conv2": 0.5}}')
    for regime, network in (("bp", NETWORK), ("niti", PLAIN)):
        found = devices.plan(network, "stm32", train=f"sparse:{path}", regime=regime, batch_size=3).schedule
        macs = {o.action: o.macs for o in found.operations if o.layer == "conv2" and o.macs}
        assert macs["backward (weight)"] == 3 * 1152 and macs["forward"] == 3 * 2304


def test_the_plan_of_a_part_is_asked_for_by_two_words():
    whole, part = (devices.plan(NETWORK, "stm32", train=train) for train in ("all", "head"))
    assert part.peak_bytes < whole.peak_bytes
    mapped = devices.plan(NETWORK, "stm32", train="head", frozen="flash")
    assert mapped.schedule.mapped_bytes > 0
    assert mapped.fits
    with pytest.raises(InputError, match="--frozen"):
        devices.plan(NETWORK, "gap8", train="head", frozen="flash")


@pytest.mark.parametrize("short", [1, 0])
def test_weights_that_are_read_in_place_lie_in_what_the_core_maps_of_an_external_flash(short):
    """Of the Pico's chip, whose size the profile leaves open, behind the boot stage of 256 bytes."""
    board = load("rp2040")
    assert (board.flash_bytes, board.flash.boot_bytes) == (0, 256)
    flash = replace(board.flash, mapped_bytes=256 + FROZEN_BODY - short)
    for device in (replace(board, flash=flash), of_known_size(board, flash)):
        found = devices.plan(NETWORK, device, train="head", frozen="flash", **LIKE_BITS)
        assert found.flash_missing_bytes == short
        assert found.fits == (not short)


def of_known_size(board, flash):
    """The same chip where the profile tells that more of it is not mapped."""
    size = 1 << 20
    return replace(board, flash_bytes=size, flash=replace(flash, size_bytes=size))


def test_weights_that_are_read_in_place_and_state_that_is_paged_share_a_flash():
    board = load("stm32")
    options = {"regime": "local-paged", "train": "head", "frozen": "flash", **LIKE_BITS}
    paged = devices.plan(NETWORK, board, **options)
    both = FROZEN_BODY + paged.paging.ring_bytes
    for short in (0, 1):
        size = both - short
        flash = replace(board.flash, size_bytes=size)
        found = devices.plan(NETWORK, replace(board, flash_bytes=size, flash=flash), **options)
        assert (found.flash_missing_bytes, found.fits) == (short, not short)
