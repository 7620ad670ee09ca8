"""The chosen segments against every other choice, and against the byte limit."""

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockwise import models
from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits
from devices.network.ops import Add, BatchNorm, Conv, CrossEntropy, Linear, MaxPool, Op, ReLU, View
from devices.network.partial import choice
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule
from devices.program.regimes.ahead import behind_frozen, without_frozen
from devices.program.regimes.builder import Builder
from devices.program.regimes.recompute import cheapest, lowest
from devices.program.regimes.segment_costs import best_segments, measure
from devices.program.regimes.segments import Segment, backpropagate, boundaries

pytestmark = pytest.mark.slow


def chain(*channels: int, norm: bool = True, pool: bool = False, flat: bool = False) -> Network:
    """Convolutions with ReLU, and norms and max pools on request, then a linear layer and its loss."""
    layers, source, before, side = [], IMAGES, 2, 4
    for i, width in enumerate(channels):
        shape = (width, side, side)
        layers += [
            Layer(f"conv{i}", Conv.square(before, width), (source,), shape),
            Layer(f"norm{i}", BatchNorm(width), (f"conv{i}",), shape)
            if norm else Layer(f"norm{i}", View(), (f"conv{i}",), shape),
            Layer(f"relu{i}", ReLU(), (f"norm{i}",), shape),
        ]  # fmt: skip
        source, before = f"relu{i}", width
        if pool and side > 1:
            side //= 2
            layers.append(Layer(f"pool{i}", MaxPool.square(), (source,), (width, side, side)))
            source = f"pool{i}"
    features = before * side * side
    if flat:
        layers.append(Layer("flat", View(), (source,), (features,)))
        source = "flat"
    layers.append(Layer("linear", Linear(features, 3), (source,), (3,)))
    loss = Layer("loss", CrossEntropy(), ("linear", LABELS), (), precision="float")
    return Network((2, 4, 4), (Block("all", tuple(layers), (loss,)),))


def residual(channels: int, blocks: int, norm: bool = True) -> Network:
    """A convolution, residual blocks of one convolution each, a linear layer and its loss."""
    layers: list[Layer] = []
    shape = (channels, 4, 4)

    def convolution(i: int, source: str, before: int) -> str:
        layers.append(Layer(f"conv{i}", Conv.square(before, channels), (source,), shape))
        layers.append(Layer(f"norm{i}", BatchNorm(channels) if norm else View(), (f"conv{i}",), shape))
        return f"norm{i}"

    layers.append(Layer("relu0", ReLU(), (convolution(0, IMAGES, 2),), shape))
    for i in range(1, blocks + 1):
        layers.append(Layer(f"skip{i}", View(), (f"relu{i - 1}",), shape))
        layers.append(Layer(f"add{i}", Add(), (convolution(i, f"relu{i - 1}", channels), f"skip{i}"), shape))
        layers.append(Layer(f"relu{i}", ReLU(), (f"add{i}",), shape))
    features = channels * 16
    layers.append(Layer("linear", Linear(features, 3), (f"relu{blocks}",), (3,)))
    loss = Layer("loss", CrossEntropy(), ("linear", LABELS), (), precision="float")
    return Network((2, 4, 4), (Block("all", tuple(layers), (loss,)),))


def every_choice(network: Network, step: Step) -> list[tuple[int, int]]:
    """Peak bytes and multiply-accumulates of all ways to cut, and to keep or recompute what lies between."""
    network = Builder(network, step).network
    layers = without_frozen(network, (*network.layers, *network.blocks[-1].head))
    inner = measure(network, layers, step, step.batch).cuts[1:-1]
    found = []
    for cut in product([False, True], repeat=len(inner)):
        ends = [0, *(c for c, chosen in zip(inner, cut, strict=True) if chosen), len(layers)]
        parts = [tuple(layers[i:j]) for i, j in pairwise(ends)]
        for again in product([False, True], repeat=len(parts) - 1):
            build = Builder(network, step)
            everything = build.train_all()
            build.load()
            behind_frozen(build, everything)
            flags = (*again, False)
            segments = [Segment(part, flag) for part, flag in zip(parts, flags, strict=True)]
            backpropagate(build.lowering, segments, fused=True)
            program = build.finish()
            found.append((Ledger(program, step.alignment).peak.live_bytes, program.macs))
    return found


nets = st.builds(
    chain, *[st.integers(1, 12)] * 3, norm=st.booleans(), pool=st.booleans(), flat=st.booleans()
) | st.builds(chain, st.integers(1, 12), norm=st.booleans(), pool=st.booleans(), flat=st.booleans())
nets |= st.builds(residual, st.integers(1, 12), st.integers(1, 3), norm=st.booleans())
parts = st.sampled_from(["head", "conv0", "*0", "*0,linear", "[!cn]*", "conv*"])
precisions = st.builds(
    Bits,
    *2 * (st.sampled_from([1, 3, 32]),),
    st.sampled_from([8, 32]),
    *2 * (st.sampled_from([FIXED_LEVELS, ONE_STEP]),),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(network=nets, batch=st.integers(1, 9), bits=precisions)
def test_no_other_choice_has_a_lower_peak(network, batch, bits):
    step = Step(batch, bits=bits, alignment=1)
    peak = Ledger(schedule("bp-best", network, step), 1).peak_bytes
    assert peak == min(peak for peak, _ in every_choice(network, step))
    assert peak <= Ledger(schedule("bp-fused", network, step), 1).peak_bytes


@pytest.mark.slow
@settings(max_examples=20)
@given(network=nets, spec=parts, batch=st.integers(1, 9), bits=precisions)
def test_so_it_is_where_only_a_part_is_trained(network, spec, batch, bits):
    network, step = choice(spec).of(network), Step(batch, bits=bits, alignment=1)
    peak = Ledger(schedule("bp-best", network, step), 1).peak_bytes
    assert peak == min(peak for peak, _ in every_choice(network, step))


@settings(max_examples=20)
@given(network=nets, batch=st.integers(1, 9), bits=precisions, share=st.floats(0, 1))
def test_within_a_limit_no_other_choice_computes_less_or_as_little_in_less(network, batch, bits, share):
    plain = Step(batch, bits=bits, alignment=1)
    choices = every_choice(network, plain)
    low, high = min(p for p, _ in choices), max(p for p, _ in choices)
    limit = low + round(share * (high - low))
    program = schedule("bp-best", network, Step(batch, bits=bits, alignment=1, limit_bytes=limit))
    found = (program.macs, Ledger(program, 1).peak_bytes)
    assert found == min((macs, peak) for peak, macs in choices if peak <= limit)


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("model", ["resnet20", "vgg8b", "cnn"])
def test_no_network_needs_less_when_its_blocks_are_recomputed(model, batch):
    network = models.build(model, (3, 32, 32), 10, 8).describe(blocks="residual", head="gap")
    peaks = [
        Ledger(schedule(regime, network, Step(batch))).peak_bytes for regime in ("bp-best", "bp-checkpoint")
    ]
    assert peaks == sorted(peaks)


@pytest.mark.parametrize("batch", [1, 5])
def test_the_expected_peak_is_that_of_the_schedule(batch):
    network, step = chain(4, 8, 8, 2), Step(batch)
    layers = (*network.layers, *network.blocks[-1].head)
    costs = measure(network, layers, step, batch)
    assert lowest(costs).peak == Ledger(schedule("bp-best", network, step)).peak.live_bytes
    assert cheapest(costs, 0).peak == cheapest(costs, None).peak == lowest(costs).peak
    assert cheapest(costs, 10**9).macs == 0


def test_a_limit_that_cannot_be_met_gives_the_lowest_peak():
    network = chain(4, 4, 4)
    layers = (*network.layers, *network.blocks[-1].head)
    free, bound = (best_segments(network, layers, Step(limit_bytes=limit), 1) for limit in (None, 1))
    assert free == bound
    assert any(segment.recompute for segment in free)


def test_a_residual_sum_is_never_cut():
    def layer(name: str, op: Op, *inputs: str) -> Layer:
        return Layer(name, op, inputs, (2, 4, 4))

    conv = Conv.square(2, 2)
    layers = (
        layer("conv", conv, IMAGES), layer("relu", ReLU(), "conv"), layer("skip", View(), "relu"),
        layer("conv1", conv, "relu"), layer("relu1", ReLU(), "conv1"), layer("conv2", conv, "relu1"),
        layer("add", Add(), "conv2", "skip"), layer("relu2", ReLU(), "add"), layer("end", conv, "relu2"),
    )  # fmt: skip
    assert boundaries(layers, IMAGES) == (0, 2, 8, 9)


def test_nothing_goes_back_to_activations_of_fixed_levels_though_a_choice_names_them():
    step = Step(2, bits=Bits(1, 3, 8, FIXED_LEVELS, FIXED_LEVELS), alignment=1)
    network = choice("[!cn]*").of(residual(3, 1, norm=False))
    program = schedule("bp-best", network, step)
    assert [o.name for o in program.operations if o.phase in ("backward", "recompute")] == [
        "loss backward", "linear backward (weight)",
    ]  # fmt: skip
    assert Ledger(program, 1).peak_bytes == min(peak for peak, _ in every_choice(network, step))
