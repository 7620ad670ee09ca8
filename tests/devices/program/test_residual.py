"""Skip paths in float: their tensors and lifetimes by hand, on every board's program."""

from itertools import pairwise

import pytest

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from devices.errors import InputError
from devices.network import Layer, Network, skipping
from devices.network.bits import Bits, QuantizerMemory
from devices.network.ops import Add, Conv, MaxPool, ReLU, View
from devices.network.precision import with_quantizers
from devices.program.inference import inference
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule
from devices.program.schedule import Schedule

BATCH, WIDTH = 2, 4
STREAM = [f"stage{s}_{i}" for s in (1, 2, 3) for i in (1, 2, 3)]
"""The residual blocks; each reads the output of the one before it."""
ELEMENTS = {1: 4 * 8 * 8, 2: 8 * 4 * 4, 3: 16 * 2 * 2}
"""Of an image's map in each stage, of 8x8 images at width 4."""


def network(blocks: str = "residual") -> Network:
    anatomy = Anatomy(models.build("resnet20", (3, 8, 8), 10, WIDTH), "gap")
    return anatomy.network(anatomy.cut(blocks, Step(BATCH)))


def program(regime: str, method: str, residual: str, update: str = "end") -> Schedule:
    bits = quant.scheme(method).bits(3, 3, residual)
    return schedule(regime, network(), Step(BATCH, bits=bits, fused=update == "fused"))


def outputs(found: Schedule) -> dict[str, int]:
    """Bits of the tensor that each skip path starts from."""
    names = ["stem.relu", *(f"{block}.relu2" for block in STREAM)]
    return {name: found.tensors[f"{name}.out"].bits for name in names}


def test_skipping_names_what_a_sum_reads_and_what_lies_on_the_way():
    layers = [
        Layer("relu", ReLU(), ("images",), (2, 4, 4)),
        Layer("pool", MaxPool.square(), ("relu",), (2, 2, 2)),
        Layer("conv", Conv.square(2, 2), ("pool",), (2, 2, 2)),
        Layer("view", View(), ("pool",), (2, 2, 2)),
        Layer("add", Add(), ("conv", "view"), (2, 2, 2)),
        Layer("after", ReLU(), ("add",), (2, 2, 2)),
    ]
    assert skipping(layers) == {"conv", "view", "pool", "relu"}
    assert skipping(layers[3:]) == {"conv", "view", "pool"}  # in a block that reads the pool of another


@pytest.mark.parametrize("method", ["lsq", "dorefa", "bnn"])
def test_float_skip_paths_start_at_32_bits_but_where_no_sum_reads_them(method):
    codes, floats = (
        outputs(schedule("bp", network(), Step(BATCH, bits=quant.scheme(method).bits(1, 1, r))))
        for r in ("codes", "float")
    )
    assert set(codes.values()) == {1}
    assert floats.pop("stage3_3.relu2") == 1  # only the pool before the classifier reads it
    assert set(floats.values()) == {32}


def last_touch(found: Schedule, tensor: str) -> str:
    return found.operations[found.lifetimes[tensor][1]].name


def test_without_a_trained_step_the_floats_live_until_the_next_sum():
    """DoReFa: the clip's mask is a bit, the convolution keeps codes; the sum is taken by the next ReLU."""
    found = program("bp", "dorefa", "float")
    for source, block in pairwise(["stem.relu", *(f"{block}.relu2" for block in STREAM[:-1])]):
        assert last_touch(found, f"{source}.out") == f"{block} forward"
        assert found.tensors[f"{source}.mask"].bits == 1
    for block in STREAM:
        assert found.tensors[f"{block}.conv1.input.out"].bits == 3
        assert last_touch(found, f"{block}.conv1.input.out") == f"{block}.conv1 backward (weight)"


def test_a_trained_step_keeps_them_until_its_gradient_is_made():
    found = program("bp", "lsq", "float")
    for source, block in zip(["stem.relu", *(f"{b}.relu2" for b in STREAM)], STREAM, strict=False):
        assert last_touch(found, f"{source}.out") == f"{source} backward"  # just before it: the quantizer's
        touching = [o.name for o in found.operations if f"{source}.out" in o.reads]
        assert f"{block}.conv1.input backward" in touching
        assert found.tensors[f"{block}.conv1.input.step"].elements == 1


@pytest.mark.parametrize(("method", "per_map"), [("lsq", 4), ("dorefa", 0)])
def test_what_is_saved_grows_by_what_backward_needs(method, per_map):
    """By hand: the map at 32 bits for a trained step, and a bit a value that tells the ReLU's mask or,
    for a trained step, nothing that was not there; the codes were there before."""
    saved = {}
    for residual in ("codes", "float"):
        tensors = program("bp", method, residual).tensors.values()
        saved[residual] = sum(t.bytes for t in tensors if t.category == "saved activations")
    images = BATCH * sum(ELEMENTS[stage] for stage in (1, 1, 1, 1, 2, 2, 2, 3, 3))
    masks = images // 8 if method == "dorefa" else 0  # of the ReLU and of the quantizer, instead of one
    assert saved["float"] - saved["codes"] == per_map * images + masks


@pytest.mark.parametrize("regime", ["bp", "bp-best", "bp-checkpoint", "bp-micro", "local", "local-paged"])
@pytest.mark.parametrize("method", ["lsq", "dorefa"])
def test_every_regime_has_a_program_and_its_peak_is_not_lower(regime, method):
    peaks = [Ledger(program(regime, method, residual)).peak_bytes for residual in ("codes", "float")]
    assert peaks[0] <= peaks[1]


def maps_alive(found: Schedule, operation: str) -> int:
    """Bytes of the gradients of maps at an operation, of one image."""
    at = [o.name for o in found.operations].index(operation)
    alive = (t for n, t in found.tensors.items() if found.lifetimes[n][0] <= at <= found.lifetimes[n][1])
    return sum(t.bytes for t in alive if t.category == "working tensors" and "gradient" in t.name) // BATCH


@pytest.mark.parametrize("method", ["fp32", "lsq", "dorefa"])
@pytest.mark.parametrize("regime", ["bp", "bp-fused", "bp-checkpoint"])
def test_the_first_convolution_of_a_block_adds_its_input_gradient_to_that_of_the_skip_path(regime, method):
    found = program(regime, method, "codes")
    added = {o.layer: o.adds for o in found.operations if o.action == "backward (input)"}
    for before, block in pairwise(["stem", *STREAM]):
        assert len(added[f"{block}.conv1"]) == 1
        own = 4 * ELEMENTS[int(block[5])]  # of a map behind the block's first convolution
        wider = 4 * ELEMENTS[int(before[5])] if before != "stem" else own
        # an identity's gradient is the map that is added to; a shortcut that pads makes it, and is gone then
        assert maps_alive(found, f"{block}.conv1 backward (input)") == own + wider
        if wider != own:
            assert maps_alive(found, f"{block}.shortcut backward") == 2 * own + wider
    assert not any(o.action in ("add gradients", "copy gradient") for o in found.operations)


def test_behind_a_quantizer_of_its_own_a_convolution_needs_a_map_of_its_own():
    found = program("bp", "dorefa", "float")
    added = {o.layer: o.adds for o in found.operations if o.action == "backward (input)"}
    assert not any(added[f"{block}.conv1"] for block in STREAM)  # which its quantizer then masks in place


def test_what_one_finished_block_hands_on_is_the_float_map():
    found = program("local-resident", "dorefa", "float")
    gathered = {name: t for name, t in found.tensors.items() if ".inputs" in name}
    assert [t.bits for t in gathered.values()] == [32] * (len(network().blocks) - 1)
    assert gathered["stage1_1.inputs"].shape == (BATCH, 4, 8, 8)


def test_inference_holds_the_float_map_beside_the_codes():
    step = Step(1, bits=quant.scheme("dorefa").bits(3, 3, "float"))
    found = inference(network(), step)
    assert found.tensors["stage1_1.relu2.out"].bits == 32
    assert found.tensors["stage1_2.conv1.input.out"].bits == 3


@pytest.mark.parametrize("regime", ["bp", "local", "local-resident"])
def test_in_float32_there_is_nothing_to_choose(regime):
    bits = [quant.scheme("fp32").bits(32, 32, residual) for residual in ("codes", "float")]
    codes, floats = (schedule(regime, network(), Step(BATCH, bits=b)) for b in bits)
    assert codes == floats


def test_readers_of_one_tensor_share_one_set_of_codes():
    """A downsampling convolution reads what the block's first one reads."""
    layers = (
        Layer("relu", ReLU(), ("images",), (2, 4, 4), precision="skip"),
        Layer("a", Conv.square(2, 2), ("relu",), (2, 4, 4), reads="skip"),
        Layer("b", Conv.square(2, 2, 1), ("relu",), (2, 4, 4), reads="skip"),
        Layer("add", Add(), ("a", "b", "relu"), (2, 4, 4)),
    )
    shapes = {layer.name: layer.shape for layer in layers}
    bits = Bits(3, 3, residual="float", activations=QuantizerMemory())
    found = with_quantizers(layers, bits, shapes)
    assert [layer.name for layer in found] == ["relu", "a.input", "a", "b", "add"]
    assert [found[2].inputs, found[3].inputs, found[4].inputs] == [
        ("a.input",), ("a.input",), ("a", "b", "relu"),
    ]  # fmt: skip


def test_another_name_is_refused():
    with pytest.raises(InputError, match="residual: got 'floats', wanted one of codes, float"):
        Bits(residual="floats")
